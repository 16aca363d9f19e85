from __future__ import annotations

import json

import pytest

from gateway.routing import jwt
from gateway.routing.jwt import JwtVerifier, bearer_token, read_claims
from tests.routing.tokens import (
    MADE,
    MADE_AT,
    MODULUS,
    PEM,
    PKCS1_PEM,
    SECRET,
    encoded,
    jwk,
    rsa_signature,
    signed_with_rsa,
    signed_with_secret,
)

NOW = 1000.0


def claims_of(token: bytes, key: str = SECRET, now: float = NOW, **demands: str) -> object:
    return JwtVerifier(key, **demands).claims(token, now)


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer  abc\t", b"abc"),
        (b"BEARER abc", b"abc"),
        (b"Basic abc", None),
        (b"Bearer", b""),
        (b"", None),
    ],
)
def test_a_bearer_token_is_found(authorization: bytes, token: bytes | None) -> None:
    assert bearer_token(authorization) == token


# Good tokens


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
@pytest.mark.parametrize("key", [PEM, PKCS1_PEM, json.dumps(jwk())], ids=["pem", "pkcs1", "jwk"])
def test_tokens_that_openssl_signed_are_verified(algorithm: str, key: str) -> None:
    claims = JwtVerifier(key).claims(MADE[algorithm].encode(), MADE_AT)
    assert claims is not None
    assert claims["sub"] == "alice"


def test_a_token_that_openssl_authenticated_is_verified() -> None:
    claims = JwtVerifier(SECRET).claims(MADE["HS256"].encode(), MADE_AT)
    assert claims is not None
    assert claims["sub"] == "alice"


@pytest.mark.parametrize("size", ["256", "384", "512"])
def test_all_hmac_sizes_are_verified(size: str) -> None:
    assert claims_of(signed_with_secret({"sub": "a"}, size=size)) == {"sub": "a"}


def test_a_key_set_is_searched_by_key_id() -> None:
    keys = json.dumps({"keys": [jwk(kid="old"), jwk(kid="new"), {"kty": "EC", "kid": "ec"}]})
    assert claims_of(signed_with_rsa({"sub": "a"}, kid="new"), keys) == {"sub": "a"}
    assert claims_of(signed_with_rsa({"sub": "a"}), keys) == {"sub": "a"}
    assert claims_of(signed_with_rsa({"sub": "a"}, kid="none of them"), keys) is None
    assert claims_of(signed_with_rsa({"sub": "a"}, kid=7), keys) is None


def test_a_key_without_id_tries_every_token() -> None:
    assert claims_of(signed_with_rsa({"sub": "a"}, kid="any"), json.dumps(jwk())) == {"sub": "a"}


def test_a_key_for_one_algorithm_takes_no_other() -> None:
    key = {"kty": "oct", "k": encoded(SECRET.encode()).decode(), "alg": "HS512"}
    assert claims_of(signed_with_secret({"sub": "a"}, size="512"), json.dumps(key)) == {"sub": "a"}
    assert claims_of(signed_with_secret({"sub": "a"}, size="256"), json.dumps(key)) is None


# Time, issuer, audience


@pytest.mark.parametrize(
    ("claims", "is_taken"),
    [
        ({}, True),
        ({"exp": NOW + 1}, True),
        ({"exp": NOW - 59}, True),
        ({"exp": NOW - 60}, False),
        ({"exp": 10**400}, False),  # beyond what JSON numbers are read as
        ({"exp": "9999999999"}, False),
        ({"exp": True}, False),
        ({"exp": [9999999999]}, False),
        ({"exp": None}, True),
        ({"nbf": NOW + 60}, True),
        ({"nbf": NOW + 61}, False),
        ({"nbf": NOW, "exp": NOW}, True),
        ({"nbf": "now"}, False),
        ({"nbf": True}, False),
    ],
)
def test_a_token_counts_only_in_its_time(claims: dict[str, object], is_taken: bool) -> None:
    assert (claims_of(signed_with_secret(claims)) is not None) == is_taken


@pytest.mark.parametrize(
    ("claims", "is_taken"),
    [
        ({"iss": "us", "aud": "chat"}, True),
        ({"iss": "us", "aud": ["other", "chat"]}, True),
        ({"iss": "us", "aud": ["other"]}, False),
        ({"iss": "us", "aud": {"chat": 1}}, False),
        ({"iss": "us"}, False),
        ({"iss": "them", "aud": "chat"}, False),
        ({"aud": "chat"}, False),
    ],
)
def test_a_token_must_be_from_our_issuer_and_for_us(
    claims: dict[str, object], is_taken: bool
) -> None:
    token = signed_with_secret(claims)
    assert (claims_of(token, issuer="us", audience="chat") is not None) == is_taken


# Attacks


def unsigned(header: object, claims: object = None) -> bytes:
    return encoded(header) + b"." + encoded(claims or {"sub": "admin"}) + b"."


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, 256, "HS", "HS256 ", "ES256"]
)
@pytest.mark.parametrize("key", [SECRET, PEM], ids=["secret", "pem"])
def test_a_token_without_a_signature_is_refused(algorithm: object, key: str) -> None:
    assert claims_of(unsigned({"alg": algorithm}), key) is None
    assert claims_of(unsigned({"alg": algorithm}) + encoded(b"\x00" * 32), key) is None
    assert claims_of(unsigned({}), key) is None


@pytest.mark.parametrize("secret", [PEM, PEM.strip(), PKCS1_PEM, json.dumps(jwk())])
@pytest.mark.parametrize("key", [PEM, PKCS1_PEM, json.dumps(jwk())], ids=["pem", "pkcs1", "jwk"])
def test_a_public_key_is_never_taken_as_a_secret(key: str, secret: str) -> None:
    assert claims_of(signed_with_secret({"sub": "admin"}, secret.encode()), key) is None


def test_a_secret_verifies_no_rsa_signature() -> None:
    assert claims_of(signed_with_rsa({"sub": "a"}), SECRET) is None


def test_another_key_is_refused() -> None:
    other = jwk(n="AQAB" + "A" * 340)
    assert claims_of(signed_with_rsa({"sub": "a"}), json.dumps(other)) is None
    assert claims_of(signed_with_secret({"sub": "a"}, b"another secret")) is None


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("made", ["HS256", "RS256"])
def test_a_tampered_token_is_refused(made: str, part: int) -> None:
    parts = MADE[made].encode().split(b".")
    changed = b"A" if parts[part][8:9] != b"A" else b"B"
    parts[part] = parts[part][:8] + changed + parts[part][9:]
    key = SECRET if made == "HS256" else PEM
    assert claims_of(b".".join(parts), key, MADE_AT) is None


def test_claims_of_one_token_with_the_signature_of_another_are_refused() -> None:
    good = signed_with_secret({"sub": "alice"}).split(b".")
    evil = good[0] + b"." + encoded({"sub": "admin"}) + b"." + good[2]
    assert claims_of(evil) is None


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\x00" * 256,
        b"\x00" * 255 + b"\x01",
        (MODULUS - 1).to_bytes(256, "big"),
        MODULUS.to_bytes(256, "big"),
        b"\xff" * 256,
        b"\xff" * 257,
    ],
)
def test_a_forged_rsa_signature_is_refused(signature: bytes) -> None:
    signed = encoded({"alg": "RS256"}) + b"." + encoded({"sub": "admin"})
    assert claims_of(signed + b"." + encoded(signature), PEM) is None


def test_a_signature_that_is_padded_with_zeros_is_refused() -> None:
    signed = encoded({"alg": "RS256"}) + b"." + encoded({"sub": "a"})
    good = rsa_signature(signed)
    assert claims_of(signed + b"." + encoded(good), PEM) == {"sub": "a"}
    assert claims_of(signed + b"." + encoded(b"\x00" + good), PEM) is None
    n_more = int.from_bytes(good, "big") + MODULUS
    size = (n_more.bit_length() + 7) // 8
    assert claims_of(signed + b"." + encoded(n_more.to_bytes(size, "big")), PEM) is None


@pytest.mark.parametrize(
    ("lead", "fill"), [(b"\x00\x02", b"\xff"), (b"\x00\x01", b"\xfe"), (b"\x00\x00", b"\xff")]
)
def test_a_signature_with_other_padding_is_refused(lead: bytes, fill: bytes) -> None:
    signed = encoded({"alg": "RS256"}) + b"." + encoded({"sub": "a"})
    assert claims_of(signed + b"." + encoded(rsa_signature(signed, lead, fill)), PEM) is None


def test_a_token_over_8_kib_is_refused() -> None:
    small = signed_with_secret({"sub": "a" * 5000})
    large = signed_with_secret({"sub": "a" * 7000})
    assert len(small) < jwt.MAX_TOKEN_BYTES < len(large)
    assert claims_of(small) is not None
    assert claims_of(large) is None
    assert read_claims(small) is not None
    assert read_claims(large) is None


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b".",
        b"..",
        b"....",
        b"a",
        b"a.b",
        b"a.b.c",
        b"\xff\xfe.\x00.\x85",
        b"!!!!." + encoded({"sub": "a"}) + b".AAAA",
        encoded([1]) + b"." + encoded({"sub": "a"}) + b".AAAA",
        encoded(b"not json") + b"." + encoded({"sub": "a"}) + b".AAAA",
        encoded({"alg": "HS256"}) + b"." + encoded({"sub": "a"}) + b".!!!!",
        encoded({"alg": "HS256"}) + b"=." + encoded({"sub": "a"}) + b".AAAA",
    ],
)
def test_garbage_is_refused(token: bytes) -> None:
    assert claims_of(token) is None
    assert claims_of(token, PEM) is None


@pytest.mark.parametrize(
    "claims", [b"", b"[1,2]", b'"text"', b"{", b'{"sub": "\\ud800"}', b"[" * 3000, b'{"a":' * 1500]
)
def test_signed_claims_that_are_no_object_are_refused(claims: bytes) -> None:
    token = signed_with_secret(claims)
    assert claims_of(token) is None
    assert read_claims(token) is None


@pytest.mark.parametrize("letters", [b"+/+/", b"ab=="])
def test_only_base64url_without_padding_is_read(letters: bytes) -> None:
    head, body, _ = signed_with_secret({"sub": "a"}).split(b".")
    assert claims_of(head + b"." + body + b"." + letters) is None


def test_a_token_with_critical_extensions_is_refused() -> None:
    assert claims_of(signed_with_secret({"sub": "a"}, crit=["b64"], b64=False)) is None


# Read without verification


def test_a_trusted_caller_s_token_is_read_as_it_is() -> None:
    assert read_claims(unsigned({"alg": "none"}, {"sub": "a"})) == {"sub": "a"}
    assert read_claims(b"." + encoded({"sub": "a"}) + b".") == {"sub": "a"}
    assert read_claims(encoded({"sub": "a"})) is None


# The memory of verified tokens


def test_a_known_token_still_expires() -> None:
    verifier = JwtVerifier(SECRET)
    token = signed_with_secret({"sub": "a", "exp": NOW + 10})
    assert verifier.claims(token, NOW) is not None
    assert verifier.claims(token, NOW + 69) is not None
    assert verifier.claims(token, NOW + 70) is None


def test_a_known_token_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = JwtVerifier(PEM)
    token = signed_with_rsa({"sub": "a"})
    first = verifier.claims(token, NOW)
    monkeypatch.setattr(jwt, "_is_signed", lambda *parts: pytest.fail("verified twice"))
    assert verifier.claims(token, NOW) is first


def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt, "_CACHE_TOKENS", 3)
    verifier = JwtVerifier(SECRET)
    for user in range(10):
        assert verifier.claims(signed_with_secret({"sub": str(user)}), NOW) == {"sub": str(user)}
        assert len(verifier._verified) <= 3


def test_a_verifier_does_not_show_its_key() -> None:
    assert repr(JwtVerifier(SECRET)) == "<JwtVerifier with 1 keys>"
