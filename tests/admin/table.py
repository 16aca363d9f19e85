"""Every call of the API once, as it succeeds at a gateway with the route `chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.state.tokens import Role
from tests.admin.running import JSON, Text

OPEN = ("/healthz", "/readyz")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that succeeds at a gateway with the route `chat`, and how it fails."""

    path: str
    content: Mapping[str, object] | Text | None = None
    needs_store: bool = False
    status: int = 200
    kind: str = JSON
    is_write: bool = False  # one that may be bound to a revision
    creates: bool = False  # a route that was not there
    role: Role | None = None  # the least that may make it; None = VIEWER, OPERATOR for a change

    @property
    def least(self) -> Role:
        changes = self.is_write or self.path.endswith("repopulate")
        return self.role or (Role.OPERATOR if changes else Role.VIEWER)


ROUTE: Mapping[str, object] = {
    "stable": "v1",
    "versions": {"v1": "http://10.0.0.1:1", "v2": "http://10.0.0.2:1", "v3": "http://10.0.0.3:1"},
}

PLAN: Mapping[str, object] = {
    "candidate": "v2",
    "stages": [{"weight": 20}, {"weight": 100}],
}

CALLS: Mapping[tuple[str, str], Call] = {
    ("GET", "/healthz"): Call("/healthz", kind="text/plain"),
    ("GET", "/readyz"): Call("/readyz", kind="text/plain"),
    ("GET", "/metrics"): Call("/metrics", kind="text/plain"),
    ("GET", "/api/v1/openapi.json"): Call("/api/v1/openapi.json"),
    ("GET", "/api/v1/whoami"): Call("/api/v1/whoami"),
    ("GET", "/api/v1/session"): Call("/api/v1/session"),
    ("POST", "/api/v1/session"): Call("/api/v1/session"),
    ("DELETE", "/api/v1/session"): Call("/api/v1/session"),
    ("GET", "/api/v1/state"): Call("/api/v1/state"),
    ("GET", "/api/v1/events"): Call("/api/v1/events?follow=no", kind="text/event-stream"),
    ("GET", "/api/v1/numbers"): Call("/api/v1/numbers"),
    ("GET", "/api/v1/routes/{route}/numbers"): Call("/api/v1/routes/chat/numbers"),
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
    ("GET", "/api/v1/routes/{route}/whitelist/{version}/ids"): Call(
        "/api/v1/routes/chat/whitelist/v2/ids", kind="text/plain", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/whitelist/{version}/ids"): Call(
        "/api/v1/routes/chat/whitelist/v2/ids",
        Text(b"carol\n"),
        needs_store=True,
        kind="application/x-ndjson",
        is_write=True,
    ),
    ("PUT", "/api/v1/routes/{route}/whitelist/{version}/ids"): Call(
        "/api/v1/routes/chat/whitelist/v2/ids",
        Text(b"dave\n"),
        needs_store=True,
        kind="application/x-ndjson",
        is_write=True,
    ),
    ("GET", "/api/v1/routes/{route}/blacklist/ids"): Call(
        "/api/v1/routes/chat/blacklist/ids", kind="text/plain", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/blacklist/ids"): Call(
        "/api/v1/routes/chat/blacklist/ids",
        Text(b"carol\n"),
        needs_store=True,
        kind="application/x-ndjson",
        is_write=True,
    ),
    ("PUT", "/api/v1/routes/{route}/blacklist/ids"): Call(
        "/api/v1/routes/chat/blacklist/ids",
        Text(b"dave\n"),
        needs_store=True,
        kind="application/x-ndjson",
        is_write=True,
    ),
    ("GET", "/api/v1/routes/{route}/blacklist"): Call(
        "/api/v1/routes/chat/blacklist", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/blacklist"): Call(
        "/api/v1/routes/chat/blacklist", {"add": ["bob"]}, needs_store=True, is_write=True
    ),
    ("PUT", "/api/v1/routes/{route}"): Call(
        "/api/v1/routes/chat", {"route": ROUTE}, needs_store=True, is_write=True, creates=True
    ),
    ("PATCH", "/api/v1/routes/{route}"): Call(
        "/api/v1/routes/chat", {"route": {"path": "/v1"}}, needs_store=True, is_write=True
    ),
    ("GET", "/api/v1/routes/{route}/versions"): Call("/api/v1/routes/chat/versions"),
    ("POST", "/api/v1/routes/{route}/versions"): Call(
        "/api/v1/routes/chat/versions",
        {"name": "v9", "urls": ["http://10.0.0.9:1"]},
        needs_store=True,
        is_write=True,
    ),
    ("GET", "/api/v1/routes/{route}/versions/{version}"): Call("/api/v1/routes/chat/versions/v2"),
    ("PATCH", "/api/v1/routes/{route}/versions/{version}"): Call(
        "/api/v1/routes/chat/versions/v3", {"meta": {"a": 1}}, needs_store=True, is_write=True
    ),
    ("POST", "/api/v1/routes/{route}/versions/{version}/retire"): Call(
        "/api/v1/routes/chat/versions/v9/retire", {}, needs_store=True, is_write=True
    ),
    ("POST", "/api/v1/routes/{route}/versions/{version}/restore"): Call(
        "/api/v1/routes/chat/versions/v9/restore", {}, needs_store=True, is_write=True
    ),
    ("DELETE", "/api/v1/routes/{route}/versions/{version}"): Call(
        "/api/v1/routes/chat/versions/v9", needs_store=True, is_write=True, role=Role.APPROVER
    ),
    ("GET", "/api/v1/routes/{route}/rules"): Call("/api/v1/routes/chat/rules", needs_store=True),
    ("PUT", "/api/v1/routes/{route}/rules"): Call(
        "/api/v1/routes/chat/rules", {"rules": []}, needs_store=True, is_write=True
    ),
    ("GET", "/api/v1/routes/{route}/diff"): Call(
        "/api/v1/routes/chat/diff?from=1&to=1", needs_store=True
    ),
    ("POST", "/api/v1/apply"): Call(
        "/api/v1/apply", {"routes": {"chat": {}}}, needs_store=True, role=Role.OPERATOR
    ),
    ("GET", "/api/v1/routes/{route}/shadow"): Call("/api/v1/routes/chat/shadow"),
    ("GET", "/api/v1/routes/{route}/shadow/examples"): Call(
        "/api/v1/routes/chat/shadow/examples", role=Role.OPERATOR
    ),
    ("POST", "/api/v1/routes/{route}/feedback"): Call(
        "/api/v1/routes/chat/feedback",
        {"request_id": "r1", "label": "up"},
        needs_store=True,
        role=Role.OPERATOR,
    ),
    ("GET", "/api/v1/segments"): Call("/api/v1/segments", needs_store=True),
    ("POST", "/api/v1/segments/{segment}"): Call(
        "/api/v1/segments/chat", {"add": ["alice"]}, needs_store=True, is_write=True
    ),
    ("GET", "/api/v1/segments/{segment}"): Call("/api/v1/segments/chat", needs_store=True),
    ("GET", "/api/v1/segments/{segment}/history"): Call(
        "/api/v1/segments/chat/history", needs_store=True
    ),
    ("POST", "/api/v1/segments/{segment}/revert"): Call(
        "/api/v1/segments/chat/revert", {"revision": 1}, needs_store=True, is_write=True
    ),
    ("DELETE", "/api/v1/segments/{segment}"): Call(
        "/api/v1/segments/chat", needs_store=True, is_write=True, role=Role.APPROVER
    ),
    ("GET", "/api/v1/routes/{route}/release"): Call(
        "/api/v1/routes/chat/release", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/release"): Call(
        "/api/v1/routes/chat/release", {"plan": PLAN}, needs_store=True, is_write=True
    ),
    ("POST", "/api/v1/routes/{route}/release/plan"): Call(
        "/api/v1/routes/chat/release/plan", {"plan": PLAN}, needs_store=True
    ),
    ("GET", "/api/v1/routes/{route}/release/watch"): Call(
        "/api/v1/routes/chat/release/watch?seconds=1", needs_store=True
    ),
    ("POST", "/api/v1/routes/{route}/release/commands"): Call(
        "/api/v1/routes/chat/release/commands",
        {"verb": "pause"},
        needs_store=True,
        role=Role.OPERATOR,
    ),
    ("POST", "/api/v1/routes/{route}/release/approvals"): Call(
        "/api/v1/routes/chat/release/approvals",
        {"verb": "promote"},
        needs_store=True,
        role=Role.APPROVER,
    ),
    ("GET", "/api/v1/routes/{route}/release/report"): Call(
        "/api/v1/routes/chat/release/report", needs_store=True, kind="text/markdown"
    ),
    ("GET", "/api/v1/routes/{route}/drills"): Call("/api/v1/routes/chat/drills", needs_store=True),
    ("POST", "/api/v1/routes/{route}/drill"): Call(
        "/api/v1/routes/chat/drill", {"kind": "cut"}, needs_store=True, role=Role.OPERATOR
    ),
    ("GET", "/api/v1/routes/{route}/releases"): Call(
        "/api/v1/routes/chat/releases", needs_store=True
    ),
    ("GET", "/api/v1/proposals"): Call("/api/v1/proposals", needs_store=True),
    ("POST", "/api/v1/proposals/{proposal}/approve"): Call(
        "/api/v1/proposals/0a1b2c3d/approve",
        {},
        needs_store=True,
        role=Role.APPROVER,
        status=404,
        kind="application/problem+json",
    ),
    ("POST", "/api/v1/proposals/{proposal}/refuse"): Call(
        "/api/v1/proposals/0a1b2c3d/refuse",
        {},
        needs_store=True,
        role=Role.OPERATOR,
        status=404,
        kind="application/problem+json",
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


# Those that take JSON.
WITH_BODY = {
    key: call
    for key, call in CALLS.items()
    if call.content is not None and not isinstance(call.content, Text)
}


# The beginning of a call that has a body, for tests that send bytes.
PUT_HEAD = (
    b"PUT /api/v1/routes/chat/weights HTTP/1.1\r\n"
    b"Host: localhost\r\nContent-Type: application/json\r\n"
)
