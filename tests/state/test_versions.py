"""One version as operators write it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.versions import (
    MAX_META_DEPTH,
    MAX_MODEL_LETTERS,
    MAX_URLS,
    WrongVersion,
    read_version,
    wrong_with_meta,
)
from gateway.state.versions import wrong_with_url as wrong_with


def refusal_of(text: str) -> tuple[str, str]:
    with pytest.raises(WrongVersion) as refused:
        read_version(text)
    return refused.value.reason, str(refused.value)


def test_urls_are_separated_by_spaces_and_doubles_count_once() -> None:
    assert read_version("http://a:1  https://b/p http://a:1").urls == ("http://a:1", "https://b/p")
    assert read_version('{"urls": "http://a http://b"}').urls == ("http://a", "http://b")


def test_the_model_that_a_version_is_asked_for_is_no_note() -> None:
    version = read_version('{"urls": ["http://a"], "rewrite_model": "llama-3/8b", "owner": "x"}')
    assert version.rewrite_model == "llama-3/8b"
    assert version.meta == {"owner": "x"}
    assert read_version("http://a").rewrite_model == ""


@pytest.mark.parametrize("model", [5, None, "", [], "a\nb", "x\x00", "y" * (MAX_MODEL_LETTERS + 1)])
def test_K04_a_model_that_no_body_can_name_is_refused(model: object) -> None:
    reason, text = refusal_of(json.dumps({"urls": ["http://a"], "rewrite_model": model}))
    assert reason == "bad_value"
    assert "rewrite_model" in text
    assert len(text) < 200


def test_K04_more_urls_than_anybody_balances_over_are_refused() -> None:
    urls = [f"http://h{n}" for n in range(MAX_URLS)]
    assert len(read_version(" ".join(urls)).urls) == MAX_URLS
    reason, text = refusal_of(" ".join([*urls, "http://more"]))
    assert (reason, str(MAX_URLS) in text) == ("too_large", True)


@pytest.mark.parametrize(
    "url",
    ["http://h", "http://h:1/", "https://h.example.:443/a/b", "HTTP://H_1", "http://127.0.0.1:80",
     "http://[::1]:80", "http://[2001:db8::1]/p", "http+unix://%2Frun%2Fx.sock",
     "http+unix://%2Frun%2FX.sock/prefix/v1", "http+unix://%2Frun%2Fa%20b%3A1.sock"],
)  # fmt: skip
def test_an_endpoint_may_look_like_this(url: str) -> None:
    assert wrong_with(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http+unix:///run/x.sock", "names no socket"),
        ("http+unix://run/x.sock", "names no socket"),
        ("http+unix://", "names no socket"),
        ("http+unix://%2Frun%2Fx.sock:80", "names no socket"),
        ("http+unix://%2Frun%2Fx%zz.sock", "names no socket"),
        ("http+unix://%2Frun%2F", "the path of a file"),
        ("http+unix://%2Frun%00x", "the path of a file"),
        ("http+unix://%2F" + "x" * 103, "at most 103 bytes"),
        ("http+unix://%2Frun%2Fx.sock?a=1", "query"),
        ("http+unix://me@%2Frun%2Fx.sock", "password"),
        ("unix:///run/x.sock", "http+unix://"),
        ("http://[::1", "no URL"),
        ("http://[v1.x]", "no URL"),
        ("http://[fe80::1%25eth0]:1", "neither a name nor an address"),
        ("http://a,b", "neither a name nor an address"),
        ("http://-a", "neither a name nor an address"),
        ('http://a"b', "neither a name nor an address"),
        ("http://%2Frun%2Fx.sock", "neither a name nor an address"),
        ("http://h:-1", "no URL"),
        ("http://h:x", "no URL"),
        ("http://:80", "no host"),
        ("http://h?", "query"),
    ],
)
def test_K04_an_endpoint_must_not_look_like_this(url: str, said: str) -> None:
    wrong = wrong_with(url)
    assert wrong is not None
    assert said in wrong
    assert refusal_of(url)[0] == "bad_url"


@given(st.text())
def test_a_url_is_right_or_it_is_said_what_is_wrong(url: str) -> None:
    wrong = wrong_with(url)
    assert wrong or url.lower().startswith(("http://", "https://", "http+unix://"))


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
     "http://h/#canary", "http://u:canary@[::1", "http://canary@h:1",
     "http+unix://canary@%2Fx", "http+unix://%2Fx?canary"],
)  # fmt: skip
def test_a_password_or_key_in_a_wrong_url_is_never_repeated(url: str) -> None:
    assert "canary" not in str(wrong_with(url))
    assert wrong_with(url)
