"""The key that verifies tokens, as operators have it: PEM, JWK, JWKS, or an HMAC secret.

The DER inside a PEM file is read by hand, for the two shapes that hold an RSA public key; that
spares a cryptography library, which would be needed for nothing else.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any

import orjson

_RSA_OID = bytes.fromhex("06092a864886f70d010101")  # 1.2.840.113549.1.1.1, rsaEncryption
_PEM_BEGIN = "-----BEGIN"
_SEQUENCE, _INTEGER, _BIT_STRING = 0x30, 0x02, 0x03
_LEAST_MODULUS_BITS, _MOST_MODULUS_BITS = 2048, 8192  # weaker is forgeable, longer takes too long


@dataclass(frozen=True, slots=True)
class Key:
    """One verifying key: an HMAC secret, or else an RSA modulus and exponent."""

    secret: bytes | None = field(default=None, repr=False)
    modulus: int = 0
    exponent: int = 0
    kid: str | None = None  # None = tries every token
    algorithm: str = ""  # empty = all of the key's family


def parse_key(text: str) -> tuple[Key, ...]:
    """The keys in a setting; raises ValueError with one sentence when it holds none."""
    text = text.strip().removeprefix("\ufeff").strip()
    if not text:
        raise ValueError("The JWT key is empty; leave the setting out or give a key.")
    # A public key must never pass for a secret: whoever knows it could sign any token.
    if _PEM_BEGIN in text:  # tools write remarks before it
        return (_pem_key(text[text.index(_PEM_BEGIN) :]),)
    if text.startswith("{"):
        return _jwk_keys(text)
    if text.startswith("["):
        raise ValueError('The JWT key starts with "["; write a JWK set as {"keys": [...]}.')
    return (Key(secret=text.encode()),)


def _pem_key(text: str) -> Key:
    first, *lines = text.splitlines()
    label = first.strip().strip("-").removeprefix("BEGIN ")
    if label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise ValueError(
            f"The JWT key is a PEM file with a {label}; give the PUBLIC KEY "
            "(openssl pkey -in FILE -pubout)."
        )
    body = "".join(line.strip() for line in lines if not line.startswith("-----"))
    try:
        der = b64decode(body, validate=True)
        if label == "PUBLIC KEY":
            der = _subject_public_key(der)
        modulus, exponent = _rsa_public_key(der)
    except (binascii.Error, ValueError, IndexError):
        raise ValueError("The JWT key is a PEM file, but holds no RSA public key.") from None
    return _rsa_key(modulus, exponent)


def _subject_public_key(der: bytes) -> bytes:
    """SEQUENCE { SEQUENCE { OID rsaEncryption, NULL }, BIT STRING { the key } } (RFC 5280)."""
    info, _ = _element(der, _SEQUENCE)
    algorithm, rest = _element(info, _SEQUENCE)
    if not algorithm.startswith(_RSA_OID):
        raise ValueError("not RSA")
    bits, _ = _element(rest, _BIT_STRING)
    return bits[1:]  # the first byte counts unused bits


def _rsa_public_key(der: bytes) -> tuple[int, int]:
    """SEQUENCE { INTEGER modulus, INTEGER exponent } (RFC 8017, A.1.1)."""
    numbers, _ = _element(der, _SEQUENCE)
    modulus, rest = _element(numbers, _INTEGER)
    exponent, _ = _element(rest, _INTEGER)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def _element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first DER element, and what follows it."""
    if der[0] != tag:
        raise ValueError("another element was expected")
    size, start = der[1], 2
    if size >= 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    end = start + size
    if end > len(der):
        raise ValueError("cut short")
    return der[start:end], der[end:]


def _jwk_keys(text: str) -> tuple[Key, ...]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"The JWT key looks like a JWK, but is not JSON: {error}.") from None
    listed = document.get("keys", [document])
    jwks = [jwk for jwk in listed if isinstance(jwk, dict)] if isinstance(listed, list) else []
    # A key set of an identity provider also holds keys for other ends; those are passed over.
    keys = [_jwk_key(jwk) for jwk in jwks if jwk.get("kty") in ("RSA", "oct")]
    if not keys:
        raise ValueError('The JWK set holds no key with "kty" of RSA or oct.')
    return tuple(keys)


def _jwk_key(jwk: dict[str, Any]) -> Key:
    kid, algorithm = jwk.get("kid"), jwk.get("alg", "")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str):
        raise ValueError('"kid" and "alg" of a JWK must be text.')
    if jwk["kty"] == "oct":
        secret = _jwk_bytes(jwk, "k")
        return Key(secret=secret, kid=kid, algorithm=algorithm)
    modulus = int.from_bytes(_jwk_bytes(jwk, "n"), "big")
    exponent = int.from_bytes(_jwk_bytes(jwk, "e"), "big")
    return _rsa_key(modulus, exponent, kid, algorithm)


def _jwk_bytes(jwk: dict[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    try:
        value = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if isinstance(text, str) else b""
    except ValueError:
        value = b""
    if not value:
        raise ValueError(f'A JWK of kty {jwk["kty"]} needs a base64url "{name}".')
    return value


def _rsa_key(modulus: int, exponent: int, kid: str | None = None, algorithm: str = "") -> Key:
    bits = modulus.bit_length()
    if not _LEAST_MODULUS_BITS <= bits <= _MOST_MODULUS_BITS:
        raise ValueError(
            f"The RSA key has {bits} bits; use {_LEAST_MODULUS_BITS} to {_MOST_MODULUS_BITS}."
        )
    # With exponent 1 every signature would be right; a huge one would stall the loop.
    if not 3 <= exponent < 2**32 or exponent % 2 == 0:
        raise ValueError("The RSA key has an unusual exponent; use 65537.")
    return Key(modulus=modulus, exponent=exponent, kid=kid, algorithm=algorithm)
