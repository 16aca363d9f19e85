from __future__ import annotations

import json
from base64 import b64encode

import pytest

from gateway.routing.jwt_keys import Key, parse_key
from tests.routing.tokens import EXPONENT, MADE, MODULUS, PEM, PKCS1_PEM, encoded, jwk, number


def pem(der: bytes, label: str = "PUBLIC KEY") -> str:
    body = b64encode(der).decode()
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def element(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content


def rsa_pem(modulus: int, exponent: int) -> str:
    parts = [value.to_bytes(value.bit_length() // 8 + 1, "big") for value in (modulus, exponent)]
    return pem(element(0x30, b"".join(element(0x02, part) for part in parts)), "RSA PUBLIC KEY")


@pytest.mark.parametrize("text", [PEM, PKCS1_PEM, "\n" + PEM.replace("\n", "\r\n") + "\n\n"])
def test_both_shapes_of_pem_hold_the_same_key(text: str) -> None:
    assert parse_key(text) == (Key(modulus=MODULUS, exponent=EXPONENT),)


@pytest.mark.parametrize("before", ["\ufeff", "Bag Attributes\n  friendlyName: k\n", "# ours\n"])
def test_a_public_key_behind_other_text_never_passes_for_a_secret(before: str) -> None:
    assert parse_key(before + PEM) == (Key(modulus=MODULUS, exponent=EXPONENT),)
    with pytest.raises(ValueError):
        parse_key(before + PEM.replace("PUBLIC KEY", "CERTIFICATE"))


def test_a_jwk_is_read() -> None:
    text = json.dumps(jwk(kid="k1", alg="RS256"))
    assert parse_key(text) == (
        Key(modulus=MODULUS, exponent=EXPONENT, kid="k1", algorithm="RS256"),
    )


def test_a_jwk_set_is_read_and_keys_of_other_kinds_are_passed_over() -> None:
    keys = [{"kty": "EC"}, "nonsense", jwk(kid="k2"), {"kty": "oct", "k": "c2VjcmV0"}]
    assert parse_key(json.dumps({"keys": keys})) == (
        Key(modulus=MODULUS, exponent=EXPONENT, kid="k2"),
        Key(secret=b"secret"),
    )


def test_any_other_text_is_a_secret_which_is_not_shown() -> None:
    (key,) = parse_key("  hush hush\n")
    assert key.secret == b"hush hush"
    assert "hush" not in repr(key)


PRIVATE = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (PRIVATE, "PEM file with a PRIVATE KEY; give the PUBLIC KEY"),
        (PEM.replace("PUBLIC KEY", "CERTIFICATE"), "with a CERTIFICATE"),
        ("-----BEGIN PUBLIC KEY-----", "holds no RSA public key"),
        ("-----BEGIN PUBLIC KEY-----\n*\n", "holds no RSA public key"),
        (pem(b""), "holds no RSA public key"),
        (pem(b"\x30\x82\xff\xff\x00"), "holds no RSA public key"),
        (pem(b"\x30"), "holds no RSA public key"),
        (pem(b"\x02\x01\x01"), "holds no RSA public key"),
        (MADE["pem_ec"], "holds no RSA public key"),
        (MADE["pem_1024"], "has 1024 bits; use 2048 to 8192"),
        (rsa_pem(2**8192 + 1, 65537), "has 8193 bits"),
        (rsa_pem(MODULUS, 1), "unusual exponent"),
        (rsa_pem(MODULUS, 65536), "unusual exponent"),
        (rsa_pem(MODULUS, 2**32 + 1), "unusual exponent"),
        (json.dumps([jwk()]), 'write a JWK set as {"keys"'),
        ("{", "is not JSON"),
        ("{}", "holds no key"),
        ('{"keys": 7}', "holds no key"),
        ('{"keys": [{"kty": "EC"}]}', "holds no key"),
        (json.dumps(jwk(kid=7)), '"kid" and "alg"'),
        (json.dumps(jwk(alg=None)), '"kid" and "alg"'),
        (json.dumps(jwk(n=7)), 'needs a base64url "n"'),
        (json.dumps(jwk(e="")), 'needs a base64url "e"'),
        (json.dumps(jwk(e="A")), 'needs a base64url "e"'),
        (json.dumps(jwk(e=number(1))), "unusual exponent"),
        ('{"kty": "oct"}', 'needs a base64url "k"'),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_key(text)


def test_a_secret_of_a_jwk_is_decoded() -> None:
    secret = bytes(range(250, 256))
    text = json.dumps({"kty": "oct", "k": encoded(secret).decode()})
    assert parse_key(text) == (Key(secret=secret),)
