"""The signed header that sends one request to one version: for testers and for tools.

    X-Graygate-Override: VERSION;EXPIRY;SIGNATURE

EXPIRY is in Unix seconds; SIGNATURE is the lower-case hex HMAC-SHA256 of route, version and expiry
joined by line feeds, under the gateway's override key. It is bound to one route and one version,
and cannot be made to last longer.
"""

from __future__ import annotations

import hmac
import re

HEADER = b"x-graygate-override"

_VALUE = re.compile(rb"([!-:<-~]{1,200});([0-9]{1,12});([0-9a-f]{64})")


def sign_override(key: bytes, route: str, version: str, expiry: int) -> str:
    """The header's value; `expiry` in Unix seconds."""
    return f"{version};{expiry};{_signature(key, route, version, str(expiry))}"


def verify_override(key: bytes, route: str, value: bytes, now: float) -> str | None:
    """The version that the header names; None when it is forged, expired or malformed."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    version, expiry, signature = (part.decode("ascii") for part in found.groups())
    if not hmac.compare_digest(_signature(key, route, version, expiry), signature):
        return None
    return version if now < int(expiry) else None


def _signature(key: bytes, route: str, version: str, expiry: str) -> str:
    return hmac.digest(key, f"{route}\n{version}\n{expiry}".encode(), "sha256").hex()
