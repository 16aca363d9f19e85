"""What a model has seen of a request, and how requests that came two ways are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# What the gateway says in its own name, and what belongs to one hop only.
ALLOWED_IN_REQUESTS = frozenset(
    {
        "host",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
        "x-graygate-version",
        "connection",
        "keep-alive",
        "upgrade",
        "http2-settings",
        "expect",
        # Another one each time, by the client's own will.
        "sec-websocket-key",
        "x-stream",
    }
)
# Compared by value but not by place, as the gateway writes its own.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_BOUNDARY = re.compile(r"boundary=\"?([^\";]+)\"?")


@dataclass(frozen=True)
class SeenRequest:
    """One request as the model got it; header names as they were spelt."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def comparable(self) -> tuple[object, ...]:
        """The request without what may differ."""
        headers = [(n, v) for n, v in self.headers if n.lower() not in ALLOWED_IN_REQUESTS]
        kept = [(n, v) for n, v in headers if n.lower() not in _FRAMING]
        framing = sorted((n.lower(), v.lower()) for n, v in headers if n.lower() in _FRAMING)
        body = self.body
        if found := _BOUNDARY.search("".join(self.header("Content-Type"))):
            boundary = found[1]  # random in each request
            kept = [(n, v.replace(boundary, "BOUNDARY")) for n, v in kept]
            body = body.replace(boundary.encode(), b"BOUNDARY")
        return self.method, self.target, tuple(kept), tuple(framing), body
