"""The fields of a route, one by one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.fields import FIELDS, TIMEOUTS, seconds, short


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
        ("balance", "rendezvous", "balance", "rendezvous"),
        ("retries", "0", "retries", 0),
        ("max_requests", "1", "max_requests", 1),
        ("max_pending", "0", "max_pending", 0),
        ("max_connections", "1000000", "max_connections", 1_000_000),
        ("health", "/health?deep=1", "health_path", "/health?deep=1"),
        ("health_interval", "0.5", "health_interval", 0.5),
        ("body_limit", "10MB", "body_limit", 10_000_000),
        ("mirror", "v2", "mirror", "v2"),
        ("mirror_percent", "12.5", "mirror_percent", 12.5),
        ("mirror_credentials", "yes", "mirror_credentials", True),
        ("mirror_self", "50", "mirror_self", 50.0),
        ("compare", '{"kind": "label"}', "compare", '{"kind": "label"}'),
        ("feedback", "0.5", "feedback", 0.5),
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
    ("field", "texts"),
    [
        ("balance", ["", "random", "LEAST"]),
        ("retries", ["", "-1", "6", "1.0", "\u0661", "9" * 400]),
        ("max_requests", ["0", "1000001", "1e3", "all"]),
        ("max_pending", ["-1", "1000001"]),
        ("max_connections", ["0", "1_000"]),
        ("health", ["", "health", "http://h/health", "/a b", "/a#b", "/\u00e9", "/" + "a" * 1001]),
        ("health_interval", ["", "0", "0.05", "3601", "2s"]),
        ("body_limit", ["", "-1", "10 M B", "10M", "ten", "1e9", "2000GiB", "1.2345kb", "KiB"]),
        ("mirror", [""]),
        ("mirror_percent", ["", "100.1", "-1", "50%"]),
        ("mirror_credentials", ["", "keep"]),
        ("mirror_self", ["", "101"]),
        ("compare", ["", "exact", "[]", "{", '{"knd": "json"}', '{"rtol": "1"}', '{"gap": 2}']),
        ("compare", ['{"kind": "jsn"}', '{"path": "' + "a" * 9000 + '"}', '{"path": "\ud800"}']),
        ("feedback", ["", "-1", "all"]),
    ],
)
def test_K04_a_field_takes_nothing_but_what_it_can_use(field: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ValueError) as refused:
            FIELDS[field][1](text)
        assert len(str(refused.value)) < 160


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1048576", 2**20), ("10MB", 10**7), ("10 mb", 10**7), ("64KiB", 2**16),
     ("64kib", 2**16), ("1.5GiB", 3 * 2**29), ("2kB", 2000), ("7b", 7), ("1024GiB", 2**40)],
)  # fmt: skip
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    assert FIELDS["body_limit"][1](text) == size


def test_every_field_stands_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = readme.partition("| field of `gray:route:R` |")[2].partition("\n\n")[0].splitlines()
    told = {name for row in rows for name in re.findall("`([a-z_]+)`", row.split("|")[1])}
    timeouts = {f"timeout_{timeout}" for timeout in TIMEOUTS}
    assert told == {"stable", "salt", *FIELDS, *timeouts}
