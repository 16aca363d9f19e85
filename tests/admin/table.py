"""Every call of the API once, as it succeeds at a gateway with the route `chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.admin.running import JSON

OPEN = ("/healthz", "/readyz")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that succeeds at a gateway with the route `chat`, and how it fails."""

    path: str
    content: Mapping[str, object] | None = None
    needs_store: bool = False
    status: int = 200
    kind: str = JSON
    is_write: bool = False  # one that may be bound to a revision


CALLS: Mapping[tuple[str, str], Call] = {
    ("GET", "/healthz"): Call("/healthz", kind="text/plain"),
    ("GET", "/readyz"): Call("/readyz", kind="text/plain"),
    ("GET", "/metrics"): Call("/metrics", kind="text/plain"),
    ("GET", "/api/v1/state"): Call("/api/v1/state"),
    ("GET", "/api/v1/instances"): Call("/api/v1/instances", needs_store=True),
    ("GET", "/api/v1/routes"): Call("/api/v1/routes"),
    ("GET", "/api/v1/routes/{route}"): Call("/api/v1/routes/chat"),
    ("PUT", "/api/v1/routes/{route}/weights"): Call(
        "/api/v1/routes/chat/weights", {"weights": {"v2": 20}}, needs_store=True, is_write=True
    ),
    ("POST", "/api/v1/routes/{route}/revert"): Call(
        "/api/v1/routes/chat/revert", {"revision": 1}, needs_store=True, is_write=True
    ),
    ("GET", "/api/v1/routes/{route}/history"): Call(
        "/api/v1/routes/chat/history", needs_store=True
    ),
    ("GET", "/api/v1/routes/{route}/explain"): Call("/api/v1/routes/chat/explain?unit=alice"),
    ("POST", "/api/v1/routes/{route}/preview"): Call(
        "/api/v1/routes/chat/preview", {"weights": {"v2": 20}, "sample": 10}
    ),
    ("GET", "/api/v1/routes/{route}/whitelist/{version}"): Call(
        "/api/v1/routes/chat/whitelist/v2", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/whitelist/{version}"): Call(
        "/api/v1/routes/chat/whitelist/v2", {"add": ["alice"]}, needs_store=True, is_write=True
    ),
    ("GET", "/api/v1/routes/{route}/blacklist"): Call(
        "/api/v1/routes/chat/blacklist", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/blacklist"): Call(
        "/api/v1/routes/chat/blacklist", {"add": ["bob"]}, needs_store=True, is_write=True
    ),
    ("POST", "/api/v1/repopulate"): Call("/api/v1/repopulate", {}, needs_store=True),
    ("DELETE", "/api/v1/routes/{route}"): Call(
        "/api/v1/routes/chat", needs_store=True, is_write=True
    ),
}


WITH_BODY = {key: call for key, call in CALLS.items() if call.content is not None}


# The beginning of a call that has a body, for tests that send bytes.
PUT_HEAD = (
    b"PUT /api/v1/routes/chat/weights HTTP/1.1\r\n"
    b"Host: localhost\r\nContent-Type: application/json\r\n"
)
