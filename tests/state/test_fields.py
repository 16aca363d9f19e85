"""The fields of a route, one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.fields import FIELDS, MAX_META_DEPTH, seconds, short, wrong_with_meta
from gateway.state.fields import wrong_with_url as wrong_with


@pytest.mark.parametrize(
    ("field", "text", "target", "value"),
    [
        ("host", "API.a.com., *.b.org [::1]", "hosts", ("api.a.com", "*.b.org", "[::1]")),
        ("path", "/v1 /v2,/v1", "paths", ("/v1", "/v2")),
        ("model", "m1 m2", "models", ("m1", "m2")),
        ("methods", "get,Post", "methods", ("GET", "POST")),
        ("unit", "header:x-user-id ip", "unit", ("header:x-user-id", "ip")),
        ("jwt", "trusted", "jwt", "trusted"),
        ("paused", "Yes", "paused", True),
        ("failover", "off", "failover", False),
        ("dialect", "openai", "dialect", "openai"),
        ("spill_cap", "12.5", "spill_cap", 12.5),
    ],
)  # fmt: skip
def test_what_a_field_means(field: str, text: str, target: str, value: object) -> None:
    name, parse = FIELDS[field]
    assert (name, parse(text)) == (target, value)


@given(st.sampled_from(sorted(FIELDS)), st.text())
def test_any_other_text_is_refused_with_a_sentence(field: str, text: str) -> None:
    try:
        FIELDS[field][1](text)
    except ValueError as error:
        assert str(error)
        assert "\n" not in str(error)


@given(st.text())
def test_a_url_is_right_or_it_is_said_what_is_wrong(url: str) -> None:
    wrong = wrong_with(url)
    assert wrong or url.startswith(("http://", "https://", "HTTP", "Http", "hTTP", "HtTP"))


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "86401", "1e3", "nan", "inf", " 1", "1s", "²", "9" * 400]
)
def test_a_time_is_a_plain_number_of_seconds(text: str) -> None:
    with pytest.raises(ValueError, match="seconds"):
        seconds(text)
    assert seconds("0.25") == 0.25


def test_what_is_quoted_is_short_and_cannot_drive_a_terminal() -> None:
    assert short("\x1b[31m\n") == "'\\x1b[31m\\n'"
    assert len(short("x" * 10_000)) == 66


@pytest.mark.parametrize(
    ("meta", "wrong"),
    [
        ({"a": [1, {"b": 2**64 - 1}], "c": -(2**63), "d": True, "e": 1.5, "f": None}, None),
        ({"a": [{"b": 2**64}]}, "beyond 64 bits"),
        ({"a": -(2**63) - 1}, "beyond 64 bits"),
    ],
)
def test_json_that_other_processes_cannot_read_is_found(
    meta: dict[str, object], wrong: str | None
) -> None:
    found = wrong_with_meta(meta)
    assert (found is None) if wrong is None else (found is not None and wrong in found)


def test_nesting_ends_somewhere() -> None:
    meta: object = 1
    for _ in range(MAX_META_DEPTH):
        meta = [meta]
    assert wrong_with_meta(meta) is None
    assert wrong_with_meta([meta]) == "is nested too deeply"


@pytest.mark.parametrize(
    "url",
    ["admin:canary@host:8000", "ftp://h/canary@x", "ftp://h?token=canary", "http://h/?key=canary",
     "http://h/#canary", "http://u:canary@[::1", "http://canary@h:1"],
)  # fmt: skip
def test_a_password_or_key_in_a_wrong_url_is_never_repeated(url: str) -> None:
    assert "canary" not in str(wrong_with(url))
    assert wrong_with(url)
