"""Routes as they might stand in the store."""

from __future__ import annotations

from dataclasses import replace

from gateway.state.raw import RawRoute


def raw_route(name: str = "chat", **changes: object) -> RawRoute:
    """A valid route with two versions and 10 % on v2."""
    raw = RawRoute(
        name=name,
        route={b"stable": b"v1"},
        versions={b"v1": b"http://127.0.0.1:9001", b"v2": b"http://127.0.0.1:9002"},
        weights={b"v2": b"10"},
    )
    return replace(raw, **changes)  # type: ignore[arg-type]  # the test names real fields


def recorded(raw: RawRoute, revision: int, at_ms: int = 1_000) -> RawRoute:
    """The same with a history whose newest entry describes it."""
    return replace(
        raw,
        revision=revision,
        recorded_at_ms=at_ms,
        recorded_print=raw.fingerprint(),
        has_history=True,
    )
