from __future__ import annotations

from gateway.config.catalog import catalog
from gateway.config.layer import Layer, plain
from gateway.config.secret import Secret

PORT = catalog()["listen.port"]
HOST = catalog()["listen.host"]
PASSWORD = catalog()["redis.password"]


def test_a_good_value_is_taken_with_its_origin() -> None:
    layer = Layer()
    layer.take(PORT, PORT.key, "90", where="here", origin="env X", is_text=True)
    assert layer.given["listen.port"].value == 90
    assert layer.given["listen.port"].origin == "env X"
    assert not layer.problems


def test_text_is_not_read_as_a_number_where_the_source_has_types() -> None:
    layer = Layer()
    layer.take(PORT, PORT.key, "90", where="here", origin="file f", is_text=False)
    assert [str(problem) for problem in layer.problems] == [
        "here: must be a whole number from 0 to 65535, not '90'"
    ]
    assert layer.broken == {"listen.port"}
    assert not layer.given


def test_a_secret_becomes_a_secret_and_a_path_stays_a_path() -> None:
    direct, by_file = Layer(), Layer()
    direct.take(PASSWORD, "redis.password", "p", where="w", origin="o", is_text=True)
    by_file.take(PASSWORD, "redis.password_file", "/p", where="w", origin="o", is_text=True)
    assert direct.given["redis.password"].value == Secret("p")
    assert by_file.given["redis.password"].value == "/p"
    assert by_file.given["redis.password"].is_path


def test_one_source_may_give_a_secret_only_once_even_if_the_first_was_wrong() -> None:
    layer = Layer()
    layer.take(PASSWORD, "redis.password", 5, where="a", origin="o", is_text=False)
    layer.take(PASSWORD, "redis.password_file", "/p", where="b", origin="o", is_text=False)
    assert [str(problem) for problem in layer.problems] == [
        "a: must be text",
        "b: is given twice, also as a; keep one of them",
    ]


def test_an_empty_or_wrong_path_of_a_secret_is_refused() -> None:
    for value in ("", 5, ["p"]):
        layer = Layer()
        layer.take(PASSWORD, "redis.password_file", value, where="w", origin="o", is_text=False)
        assert [problem.what for problem in layer.problems] == [
            "must be the path of the file that holds the secret"
        ]


def test_bytes_that_are_no_utf8_are_refused_and_not_shown() -> None:
    layer = Layer()
    layer.take(HOST, HOST.key, "a\udcff", where="w", origin="o", is_text=True)
    assert [str(problem) for problem in layer.problems] == ["w: is not valid UTF-8"]


def test_a_name_that_could_break_a_line_is_quoted() -> None:
    assert plain("port") == "port"
    assert plain("") == '""'
    assert plain("a b") == '"a b"'
    assert plain("a\nb") == '"a\\nb"'
