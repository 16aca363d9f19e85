from __future__ import annotations

from gateway.config.flags import Flag, read_flags


def test_a_flag_is_told_by_the_name_it_came_by() -> None:
    layer = read_flags({"listen.port": Flag("--port", "90"), "log.level": "debug"})
    assert not layer.problems
    assert layer.given["listen.port"].value == 90
    assert layer.given["listen.port"].origin == "flag --port"
    assert layer.given["log.level"].origin == "flag --set log.level"


def test_a_value_that_has_its_type_already_is_taken_as_it_is() -> None:
    assert read_flags({"listen.port": Flag("--port", 90)}).given["listen.port"].value == 90


def test_a_bad_value_is_told_with_the_flag() -> None:
    (problem,) = read_flags({"listen.port": Flag("--port", "x")}).problems
    assert str(problem) == "--port: must be a whole number from 0 to 65535, not 'x'"


def test_an_unknown_key_is_refused_with_a_suggestion() -> None:
    (first, second) = read_flags({"listen.prot": "1", "port": "1"}).problems
    assert str(first) == "--set listen.prot: is not a setting; did you mean listen.port?"
    assert second.where == "--set port"
