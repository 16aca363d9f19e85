"""Requests and routes for the tests of the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.routing.facts import RequestFacts
from gateway.routing.rules import NO_LISTS, Lists
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from gateway.routing.table import Identity, Route, compile_route


def request(
    *,
    method: str = "GET",
    host: bytes = b"models.example.com",
    path: bytes = b"/v1/chat",
    query: bytes = b"",
    headers: Mapping[bytes, bytes] | None = None,
    ip: str = "192.0.2.7",
    trusted: bool = True,
    model: str | None = None,
    body_user: bytes | None = None,
) -> RequestFacts:
    return RequestFacts(method, host, path, query, headers or {}, ip, trusted, model, body_user)


def of_user(unit: bytes) -> RequestFacts:
    return request(headers={b"x-user-id": unit})


def spec(name: str = "chat", *, versions: Sequence[str] = ("v1", "v2"), **parts: Any) -> RouteSpec:
    """A route whose first version is stable."""
    return RouteSpec(
        name=name,
        stable=versions[0],
        versions={version: VersionSpec(urls=("http://127.0.0.1:9001",)) for version in versions},
        **{"salt": name, **parts},
    )


def route(lists: Lists = NO_LISTS, identity: Identity | None = None, **parts: Any) -> Route:
    return compile_route(spec(**parts), lists, identity or Identity())


def rule(when: dict[str, Any], version: str | None = "v2", **parts: Any) -> RuleSpec:
    return RuleSpec(when=when, version=version, **parts)


def never() -> float:
    raise AssertionError("nothing may be drawn for a request that has a unit")
