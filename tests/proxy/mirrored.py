"""A route whose requests are copied to a second model, and what is known of the copies."""

from __future__ import annotations

from gateway.metrics.numbers import MIRROR_FAILURE_KINDS
from gateway.proxy.pair import Pair
from gateway.routing.spec import VersionSpec
from tests.proxy.link import until
from tests.proxy.message import Request
from tests.proxy.model import Model
from tests.proxy.side import Side


def mirror(side: Side, url: str, **changes: object) -> None:
    """All that goes to v1, at the side's model, is copied to v2."""
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": VersionSpec(urls=(url,))}
    compared = {"compare": "{}", "mirror_self": 0.0}
    side.use(side.spec(**{"versions": versions, "mirror": "v2", **compared, **changes}))


def pairs_of(side: Side) -> list[Pair]:
    """What is compared from now on."""
    pairs: list[Pair] = []
    side.plane.on_pair = pairs.append
    return pairs


async def the_pair(pairs: list[Pair]) -> Pair:
    await until(lambda: bool(pairs), "both answers have ended")
    [pair] = pairs
    return pair


async def the_copy(other: Model) -> Request:
    await until(lambda: bool(other.requests), "the copy has arrived")
    [request] = other.requests
    return request


async def settled(side: Side) -> None:
    await until(lambda: not side.plane.mirrors.copies, "nothing is left of the copies")
    assert side.plane.mirrors.held_bytes == 0


def mirrored(side: Side) -> int:
    return side.plane.numbers["chat", "v2"].mirrored


def lost(side: Side) -> dict[str, int]:
    """Copies that were not made, given up or failed, by kind."""
    failures = side.plane.numbers["chat", "v2"].mirror_failures
    assert failures.keys() <= set(MIRROR_FAILURE_KINDS)
    return dict(failures)


def active(side: Side) -> int:
    """Places taken of the mirror's version."""
    assert side.plane.view is not None
    group = side.plane.view.routes["chat"].groups["v2"]
    assert sum(endpoint.active for endpoint in group.endpoints) == group.active
    return group.active


def connections(side: Side) -> int:
    """Those that stand to the mirror's model, and those being made."""
    assert side.plane.view is not None
    endpoints = side.plane.view.routes["chat"].groups["v2"].endpoints
    return sum(endpoint.connections for endpoint in endpoints)
