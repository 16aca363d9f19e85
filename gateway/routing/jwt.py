"""Claims of a JSON Web Token: verified with a configured key, or read from a trusted caller.

Only signatures over HMAC (HS256, HS384, HS512) and RSA PKCS#1 v1.5 (RS256, RS384, RS512) count. A
key belongs to one family and is never used for the other, so a token cannot choose to have a public
RSA key taken as an HMAC secret; `none` belongs to no family. Whatever is wrong with a token, the
answer is None: no claims, no unit, never an error.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.routing.jwt_keys import Key, parse_key

MAX_TOKEN_BYTES = 8 * 1024
LEEWAY_SECONDS = 60
_CACHE_TOKENS = 4096

Claims = Mapping[str, Any]  # as the issuer wrote them: any JSON

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}

# What PKCS#1 v1.5 puts before the hash (RFC 8017, 9.2, note 1).
_HASH_PREFIXES = {
    "256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def bearer_token(authorization: bytes) -> bytes | None:
    """The token of an `Authorization: Bearer` value; None when it carries something else."""
    scheme, _, token = authorization.strip(b" \t").partition(b" ")
    return token.strip(b" \t") if scheme.lower() == b"bearer" else None


def read_claims(token: bytes) -> Claims | None:
    """The claims, unverified: only for callers that have verified the token already."""
    parts = token.split(b".")
    if len(token) > MAX_TOKEN_BYTES or len(parts) != 3:
        return None
    return _json_object(parts[1])


class JwtVerifier:
    """Verifies tokens with one configured key, and remembers those that were right."""

    __slots__ = ("_audience", "_issuer", "_keys", "_verified")

    def __init__(self, key: str, issuer: str = "", audience: str = "") -> None:
        """Raises ValueError with one sentence when the key cannot be used."""
        self._keys = parse_key(key)
        self._issuer = issuer
        self._audience = audience
        self._verified: dict[bytes, Claims] = {}

    def claims(self, token: bytes, now: float) -> Claims | None:
        if len(token) > MAX_TOKEN_BYTES:
            return None
        # Kept by hash: a memory dump must not hand out tokens that still work.
        name = hashlib.sha256(token).digest()
        claims = self._verified.get(name)
        if claims is None:
            claims = self._verify(token)
            if claims is None:
                return None
            if len(self._verified) >= _CACHE_TOKENS:
                self._verified.clear()
            self._verified[name] = claims
        return claims if _is_in_time(claims, now) else None

    def _verify(self, token: bytes) -> Claims | None:
        """Signature, issuer and audience: what does not change as time passes."""
        signed, _, tail = token.rpartition(b".")
        head, _, body = signed.partition(b".")
        header = _json_object(head)
        signature = _decoded(tail)
        # A token with "crit" demands that we understand its extensions; we know none (RFC 7515).
        if header is None or signature is None or "crit" in header:
            return None
        if not any(_is_signed(key, header, signed, signature) for key in self._keys):
            return None
        claims = _json_object(body)
        return claims if claims is not None and self._is_meant_for_us(claims) else None

    def _is_meant_for_us(self, claims: Claims) -> bool:
        if self._issuer and claims.get("iss") != self._issuer:
            return False
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        return not self._audience or self._audience in named

    def __repr__(self) -> str:
        return f"<JwtVerifier with {len(self._keys)} keys>"


def _is_in_time(claims: Claims, now: float) -> bool:
    for name, late in (("exp", True), ("nbf", False)):
        moment = claims.get(name)
        if moment is None:
            continue
        if isinstance(moment, bool) or not isinstance(moment, int | float):
            return False
        if (now >= moment + LEEWAY_SECONDS) if late else (now < moment - LEEWAY_SECONDS):
            return False
    return True


def _is_signed(key: Key, header: Claims, signed: bytes, signature: bytes) -> bool:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or (key.algorithm and key.algorithm != algorithm):
        return False
    if key.kid is not None and header.get("kid") not in (None, key.kid):
        return False
    family, size = algorithm[:2], algorithm[2:]
    if size not in _HASHES:
        return False
    if family == "HS" and key.secret is not None:
        return hmac.compare_digest(hmac.digest(key.secret, signed, f"sha{size}"), signature)
    if family == "RS" and key.secret is None:
        return _is_rsa_signed(key, size, signed, signature)
    return False


def _is_rsa_signed(key: Key, size: str, signed: bytes, signature: bytes) -> bool:
    """Builds what the signer must have signed and compares whole (RFC 8017, 8.2.2): no parsing."""
    length = (key.modulus.bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != length or number >= key.modulus:
        return False
    tail = _HASH_PREFIXES[size] + _HASHES[size](signed).digest()
    wanted = b"\x00\x01" + b"\xff" * (length - len(tail) - 3) + b"\x00" + tail
    found = pow(number, key.exponent, key.modulus).to_bytes(length, "big")
    return hmac.compare_digest(found, wanted)


def _decoded(text: bytes) -> bytes | None:
    """Strict base64url without padding (RFC 7515, 2)."""
    if b"=" in text or b"+" in text or b"/" in text:
        return None
    try:
        return b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error:
        return None


def _json_object(text: bytes) -> Claims | None:
    decoded = _decoded(text)
    if decoded is None:
        return None
    try:
        value = orjson.loads(decoded)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
