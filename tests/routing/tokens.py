"""Signed tokens: some made once with openssl, others signed here with the same keys."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

MADE = json.loads(Path(__file__).with_name("tokens.json").read_text(encoding="utf-8"))

SECRET: str = MADE["hs_secret"]
PEM: str = MADE["pem"]
PKCS1_PEM: str = MADE["pkcs1"]
MODULUS = int(MADE["n"], 16)
EXPONENT = 65537
MADE_AT = 1_900_000_000.0  # a time at which the made tokens are valid

_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def encoded(value: object) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=")


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def jwk(**parts: Any) -> dict[str, Any]:
    return {"kty": "RSA", "n": number(MODULUS), "e": number(EXPONENT), **parts}


def signed_with_secret(
    claims: object, secret: bytes = SECRET.encode(), size: str = "256", **header: Any
) -> bytes:
    signed = encoded({"alg": f"HS{size}", **header}) + b"." + encoded(claims)
    return signed + b"." + encoded(hmac.digest(secret, signed, f"sha{size}"))


def signed_with_rsa(claims: object, **header: Any) -> bytes:
    signed = encoded({"alg": "RS256", **header}) + b"." + encoded(claims)
    return signed + b"." + encoded(rsa_signature(signed))


def rsa_signature(signed: bytes, lead: bytes = b"\x00\x01", fill: bytes = b"\xff") -> bytes:
    tail = b"\x00" + _PREFIX + hashlib.sha256(signed).digest()
    block = lead + fill * (256 - len(lead) - len(tail)) + tail
    power = pow(int.from_bytes(block, "big"), int(MADE["d"], 16), MODULUS)
    return power.to_bytes(256, "big")
