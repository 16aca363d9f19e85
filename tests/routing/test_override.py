from __future__ import annotations

import hashlib
import hmac

import pytest

from gateway.routing.override import sign_override, verify_override

KEY = b"override key"
NOW = 1000.0
GOOD = sign_override(KEY, "chat", "v2", 1060).encode()


def test_the_signature_is_the_documented_one() -> None:
    signature = hmac.new(KEY, b"chat\nv2\n1060", hashlib.sha256).hexdigest()
    assert GOOD.decode() == f"v2;1060;{signature}"


def test_a_signed_override_names_its_version() -> None:
    assert verify_override(KEY, "chat", GOOD, NOW) == "v2"


def test_an_override_ends_at_its_expiry() -> None:
    assert verify_override(KEY, "chat", GOOD, 1059.9) == "v2"
    assert verify_override(KEY, "chat", GOOD, 1060.0) is None


def test_an_override_is_for_one_route_and_one_key() -> None:
    assert verify_override(KEY, "embed", GOOD, NOW) is None
    assert verify_override(b"another", "chat", GOOD, NOW) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"v2",
        b"v2;1060",
        b"v2;1060;",
        b"v2;1060;" + b"0" * 64,
        GOOD.replace(b"v2", b"v3"),
        GOOD.replace(b"1060", b"9060"),
        GOOD.replace(b"1060", b"+1060"),
        GOOD.replace(b"1060", b"1_060"),
        GOOD.replace(b"1060", b" 1060"),
        GOOD.replace(b"1060", "١٠٦٠".encode()),
        GOOD.replace(b"1060", b"1" * 5000),
        GOOD + b"\n",
        GOOD + b"0",
        b" " + GOOD,
        GOOD[:-1],
        GOOD.upper(),
        b"v2;x;1060;" + GOOD[-64:],
        b"\xff" * 100,
        b";" * 10_000,
    ],
)
def test_anything_else_is_ignored(value: bytes) -> None:
    assert verify_override(KEY, "chat", value, NOW) is None
