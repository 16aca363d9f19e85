from __future__ import annotations

import hashlib

import pytest

from gateway.routing.facts import RequestFacts
from gateway.routing.jwt import JwtVerifier
from gateway.routing.unit import compile_sources, find_unit, parse_source
from tests.routing.requests import request
from tests.routing.tokens import SECRET, encoded, signed_with_secret

NOW = 1000.0


def found(
    facts: RequestFacts, *sources: str, jwt: str = "verified", verifier: JwtVerifier | None = None
) -> tuple[bytes | None, str]:
    return find_unit(compile_sources(sources, jwt, verifier), facts, NOW)


def bearing(token: bytes, trusted: bool = True) -> RequestFacts:
    return request(headers={b"authorization": b"Bearer " + token}, trusted=trusted)


@pytest.mark.parametrize(
    "text",
    [
        "header:X-User-Id",
        "cookie:uid",
        "query:user",
        "jwt:sub",
        "jwt:org.user.id",
        "jwt:https://example.com/uid",
        "body:user",
        "ip",
    ],
)
def test_every_source_is_understood_and_keeps_its_text(text: str) -> None:
    assert str(parse_source(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("headr:x-user-id", "Did you mean header?"),
        ("coookie:uid", "Did you mean cookie?"),
        ("HEADER:x-user-id", "Did you mean header?"),
        ("session:id", "Known are: header, cookie, query, jwt, body, ip."),
        ("x-user-id", "write one of header:NAME, cookie:NAME"),
        ("", "write one of header:NAME, cookie:NAME"),
        ("header", "needs a name without spaces, as in header:NAME"),
        ("header:", "needs a name"),
        ("header:x user", "needs a name without spaces"),
        ("cookie:u\nid", "needs a name without spaces"),
        ("body:name", "only body:user"),
        ("body", "only body:user"),
        ("ip:v4", "write just ip"),
    ],
)
def test_a_typo_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_source(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_source_is_read_from_its_place() -> None:
    facts = request(
        headers={b"x-user-id": b"h", b"cookie": b"uid=c"}, query=b"user=q", body_user=b"b"
    )
    assert found(facts, "header:X-User-ID") == (b"h", "header:X-User-ID")
    assert found(facts, "cookie:uid") == (b"c", "cookie:uid")
    assert found(facts, "query:user") == (b"q", "query:user")
    assert found(facts, "body:user") == (b"b", "body:user")
    assert found(facts, "ip") == (b"192.0.2.7", "ip")


def test_the_first_present_source_wins() -> None:
    facts = request(headers={b"x-user-id": b" \t", b"cookie": b"uid="}, query=b"user=q")
    sources = ("header:x-user-id", "header:other", "cookie:uid", "query:user", "ip")
    assert found(facts, *sources) == (b"q", "query:user")


def test_nobody_is_found_where_no_source_has_a_unit() -> None:
    sources = ("header:x", "cookie:x", "query:x", "jwt:sub", "body:user")
    assert found(request(), *sources) == (None, "")
    assert found(request()) == (None, "")


def test_a10_an_untrusted_caller_cannot_say_who_the_user_is() -> None:
    facts = request(
        headers={b"x-user-id": b"alice", b"cookie": b"uid=c"},
        query=b"user=q",
        body_user=b"alice",
        trusted=False,
    )
    assert found(facts, "header:x-user-id", "body:user") == (None, "")
    assert found(facts, "header:x-user-id", "cookie:uid") == (b"c", "cookie:uid")
    assert found(facts, "header:x-user-id", "query:user") == (b"q", "query:user")
    assert found(facts, "header:x-user-id", "ip") == (b"192.0.2.7", "ip")


def test_a10_a_header_of_a_similar_name_is_not_the_header() -> None:
    assert found(request(headers={b"x_user_id": b"alice"}), "header:x-user-id") == (None, "")


@pytest.mark.parametrize(
    ("raw", "unit"),
    [
        (b" \t alice \t ", b"alice"),
        (b"\x85alice\xa0", b"\x85alice\xa0"),
        (b"\x0balice\x0c", b"\x0balice\x0c"),
        (b"\xe7\x94\xa8", b"\xe7\x94\xa8"),
        (b"a" * 256, b"a" * 256),
    ],
)
def test_only_spaces_and_tabs_are_trimmed(raw: bytes, unit: bytes) -> None:
    assert found(request(headers={b"x-user-id": raw}), "header:x-user-id")[0] == unit


def test_a_long_id_becomes_its_hash() -> None:
    raw = b"a" * 257
    wanted = b"sha256:" + hashlib.sha256(raw).hexdigest().encode()
    assert found(request(headers={b"x-user-id": raw}), "header:x-user-id")[0] == wanted
    assert found(request(headers={b"x-user-id": b" " + raw}), "header:x-user-id")[0] == wanted


# Claims


def test_a_verified_claim_is_a_unit() -> None:
    facts = bearing(signed_with_secret({"sub": "alice"}), trusted=False)
    assert found(facts, "jwt:sub", verifier=JwtVerifier(SECRET)) == (b"alice", "jwt:sub")


def test_a_claim_that_cannot_be_verified_is_none() -> None:
    facts = bearing(signed_with_secret({"sub": "alice"}, b"another secret"))
    assert found(facts, "jwt:sub", verifier=JwtVerifier(SECRET)) == (None, "")


def test_without_a_key_no_claim_is_verified() -> None:
    assert found(bearing(signed_with_secret({"sub": "alice"})), "jwt:sub") == (None, "")


def test_an_expired_token_names_nobody() -> None:
    facts = bearing(signed_with_secret({"sub": "alice", "exp": NOW - 100}))
    assert found(facts, "jwt:sub", verifier=JwtVerifier(SECRET)) == (None, "")


def test_a_trusted_caller_s_token_is_believed_where_the_route_says_so() -> None:
    token = b"x." + encoded({"sub": "alice"}) + b".x"
    assert found(bearing(token), "jwt:sub", jwt="trusted") == (b"alice", "jwt:sub")
    assert found(bearing(token), "jwt:sub", jwt="verified") == (None, "")
    assert found(bearing(b"garbage"), "jwt:sub", jwt="trusted") == (None, "")


def test_an_untrusted_caller_s_token_is_verified_all_the_same() -> None:
    verifier = JwtVerifier(SECRET)
    forged = b"x." + encoded({"sub": "alice"}) + b".x"
    good = signed_with_secret({"sub": "alice"})
    assert found(bearing(forged, False), "jwt:sub", jwt="trusted", verifier=verifier)[0] is None
    assert found(bearing(forged, False), "jwt:sub", jwt="trusted")[0] is None
    assert found(bearing(good, False), "jwt:sub", jwt="trusted", verifier=verifier)[0] == b"alice"


@pytest.mark.parametrize(
    ("claims", "source", "unit"),
    [
        ({"sub": "用户"}, "jwt:sub", "用户".encode()),
        ({"uid": 42}, "jwt:uid", b"42"),
        ({"org": {"user": {"id": 7}}}, "jwt:org.user.id", b"7"),
        ({"a.b": "flat", "a": {"b": "deep"}}, "jwt:a.b", b"flat"),
        ({"https://example.com/uid": "u"}, "jwt:https://example.com/uid", b"u"),
        ({"sub": True}, "jwt:sub", None),
        ({"sub": 1.5}, "jwt:sub", None),
        ({"sub": ["alice"]}, "jwt:sub", None),
        ({"sub": None}, "jwt:sub", None),
        ({"sub": ""}, "jwt:sub", None),
        ({"sub": "text"}, "jwt:sub.id", None),
        ({}, "jwt:sub", None),
    ],
)
def test_text_and_whole_numbers_are_units(
    claims: dict[str, object], source: str, unit: bytes | None
) -> None:
    facts = bearing(signed_with_secret(claims))
    assert found(facts, source, verifier=JwtVerifier(SECRET))[0] == unit
