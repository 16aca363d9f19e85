"""Small pictures of the store for tests of the processes."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from gateway.routing.lists import PackedTable, TableBuilder
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute, MemberList, Snapshot

WHITELIST = "route/chat/whitelist/v2"


def spec(
    name: str = "chat",
    *,
    v2: float = 0.0,
    urls: tuple[str, str] = ("http://127.0.0.1:1", "http://127.0.0.1:2"),
    path: str = "/",
    note: str = "",
) -> RouteSpec:
    """A route with the versions v1, which is stable, and v2."""
    meta = {"note": note} if note else {}
    return RouteSpec(
        name=name,
        stable="v1",
        versions={
            "v1": VersionSpec(urls=(urls[0],), meta=meta),
            "v2": VersionSpec(urls=(urls[1],)),
        },
        weights={"v2": v2},
        salt=name,
        paths=(path,),
        timeouts={"connect": 2.0},
    )


def snapshot(
    sequence: int, routes: Iterable[RouteSpec] = (), lists: Iterable[MemberList] = ()
) -> Snapshot:
    return Snapshot(
        sequence=sequence,
        routes=MappingProxyType({route.name: HeldRoute(route, RouteState()) for route in routes}),
        lists=MappingProxyType({members.name: members for members in lists}),
    )


def small_list(*ids: bytes, generation: int = 1) -> MemberList:
    return MemberList(WHITELIST, frozenset(ids), generation)


def packed(count: int, prefix: str = "user-") -> PackedTable:
    builder = TableBuilder(count)
    builder.add(f"{prefix}{number}".encode() for number in range(count))
    return builder.finish()
