from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routing.facts import canonical_path
from tests.routing.requests import request

CANONICAL = [
    (b"/", b"/"),
    (b"/v1/chat/completions", b"/v1/chat/completions"),
    (b"/v1/", b"/v1/"),
    (b"/v1/models/gpt-4.1:free@2", b"/v1/models/gpt-4.1:free@2"),
    (b"/.well-known/x", b"/.well-known/x"),
    (b"/a/...", b"/a/..."),
    # empty and dot segments
    (b"//", b"/"),
    (b"//admin", b"/admin"),
    (b"/a//b", b"/a/b"),
    (b"/a//b///", b"/a/b/"),
    (b"/.", b"/"),
    (b"/./a", b"/a"),
    (b"/a/.", b"/a/"),
    (b"/a/./b", b"/a/b"),
    (b"/a/..", b"/"),
    (b"/a/b/..", b"/a/"),
    (b"/a/../b", b"/b"),
    (b"/a//b/../%2e%2e", b"/"),
    # escapes
    (b"/%61dmin", b"/admin"),
    (b"/%2E%2e/", None),
    (b"/a/%2e%2e/b", b"/b"),
    (b"/a%2Fb", b"/a%2Fb"),
    (b"/a%2fb", b"/a%2Fb"),
    (b"/%C3%a9", b"/%C3%A9"),
    (b"/%c3%A9", b"/%C3%A9"),
    (b"/a%20b", b"/a%20b"),
    (b"/a%3Ab", b"/a:b"),
    (b"/%2561", b"/%2561"),
    (b"/%25", b"/%25"),
    (b"/\\", b"/%5C"),
    (b"/%5c", b"/%5C"),
    (b'/a"b', b"/a%22b"),
    (b"/a{b}|c", b"/a%7Bb%7D%7Cc"),
    # refused
    (b"", None),
    (b"*", None),
    (b"a/b", None),
    (b"/..", None),
    (b"/a/../..", None),
    (b"/a b", None),
    (b"/a\x00", None),
    (b"/a\x7f", None),
    (b"/\xc3\xa9", None),
    (b"/%00", None),
    (b"/a%0a", None),
    (b"/%1F", None),
    (b"/%7f", None),
    (b"/%", None),
    (b"/%4", None),
    (b"/%zz", None),
    (b"/%+1", None),
    (b"/a#b", None),
    (b"/a?b", None),
]


@pytest.mark.parametrize(("raw", "canonical"), CANONICAL)
def test_p24_a_path_has_one_canonical_form(raw: bytes, canonical: bytes | None) -> None:
    assert canonical_path(raw) == canonical


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.text(alphabet="/.%aAeE2fF0é\\", max_size=20).map(lambda text: b"/" + text.encode()))
def test_a_canonical_path_stays_as_it_is(raw: bytes) -> None:
    canonical = canonical_path(raw)
    if canonical is not None:
        assert canonical_path(canonical) == canonical
        assert b"//" not in canonical


def test_a_path_of_escapes_alone_is_resolved() -> None:
    assert canonical_path(b"/" + b"%61" * 5000) == b"/" + b"a" * 5000


def test_cookies_are_read_by_name() -> None:
    facts = request(headers={b"cookie": b'uid=alice;  theme="dark"; uid=bob; flag; x=a=b; q="'})
    assert facts.cookies == {
        b"uid": b"alice",
        b"theme": b"dark",
        b"flag": b"",
        b"x": b"a=b",
        b"q": b'"',
    }
    assert facts.cookies is facts.cookies


def test_a_request_without_cookies_has_none_of_any_name() -> None:
    assert request().cookies.get(b"uid") is None


def test_parameters_are_read_by_name_and_unescaped() -> None:
    facts = request(query=b"user=al%69ce+b&user=bob&flag&u%73er2=%ff&=x")
    assert facts.parameters == {
        b"user": b"alice b",
        b"flag": b"",
        b"user2": b"\xff",
        b"": b"x",
    }
    assert facts.parameters is facts.parameters


@pytest.mark.parametrize(
    ("ip", "address"),
    [
        ("192.0.2.1", (4, 0xC0000201)),
        ("::ffff:192.0.2.1", (4, 0xC0000201)),
        ("2001:db8::1", (6, 0x20010DB8000000000000000000000001)),
        ("fe80::1%eth0", (6, 0xFE800000000000000000000000000001)),
        ("", (0, 0)),
        ("unix:", (0, 0)),
    ],
)
def test_the_client_address_is_a_number(ip: str, address: tuple[int, int]) -> None:
    facts = request(ip=ip)
    assert facts.address == address
    facts.client_ip = "192.0.2.9"
    assert facts.address == address, "it is read once"


def test_facts_say_what_they_are_about() -> None:
    assert repr(request()) == "<RequestFacts GET b'models.example.com' b'/v1/chat'>"
