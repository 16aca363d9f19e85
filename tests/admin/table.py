"""Every call of the API once, as it succeeds at a gateway with the route `chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.state.tokens import Role
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
    role: Role | None = None  # the least that may make it; None = VIEWER, OPERATOR for a change

    @property
    def least(self) -> Role:
        changes = self.is_write or self.path.endswith("repopulate")
        return self.role or (Role.OPERATOR if changes else Role.VIEWER)


CALLS: Mapping[tuple[str, str], Call] = {
    ("GET", "/healthz"): Call("/healthz", kind="text/plain"),
    ("GET", "/readyz"): Call("/readyz", kind="text/plain"),
    ("GET", "/metrics"): Call("/metrics", kind="text/plain"),
    ("GET", "/api/v1/whoami"): Call("/api/v1/whoami"),
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
        "/api/v1/routes/chat", needs_store=True, is_write=True, role=Role.APPROVER
    ),
    ("GET", "/api/v1/audit"): Call("/api/v1/audit", kind="application/x-ndjson", needs_store=True),
    ("GET", "/api/v1/audit/verify"): Call("/api/v1/audit/verify", needs_store=True),
    ("GET", "/api/v1/tokens"): Call("/api/v1/tokens", role=Role.ADMIN),
    ("POST", "/api/v1/tokens"): Call(
        "/api/v1/tokens", {"name": "ci", "role": "viewer"}, needs_store=True, role=Role.ADMIN
    ),
    ("DELETE", "/api/v1/tokens/{token}"): Call(
        "/api/v1/tokens/ci", needs_store=True, role=Role.ADMIN
    ),
}


WITH_BODY = {key: call for key, call in CALLS.items() if call.content is not None}


# The beginning of a call that has a body, for tests that send bytes.
PUT_HEAD = (
    b"PUT /api/v1/routes/chat/weights HTTP/1.1\r\n"
    b"Host: localhost\r\nContent-Type: application/json\r\n"
)
