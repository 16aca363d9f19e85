"""What the demo writes into a store: one route with an old and a new version. Pure.

A route of the operator's own is never touched. The demo's versions carry a mark, so that a later
run refreshes their URLs (ports may differ) and leaves everything else as the operator set it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from gateway.state.keys import Keys, Part

ROUTE = "chat"
STABLE = "v1"
CANDIDATE = "v2"
START_WEIGHT = 10
MARK = "demo"

Command = tuple[str, ...]


class Found(msgspec.Struct, frozen=True):
    """What the store holds before: members of the routes set, fields of the versions hash."""

    routes: Collection[str] = ()
    versions: Mapping[str, str] = {}


def questions(prefix: str = "gray:") -> tuple[Command, Command]:
    """The two commands whose replies make a `Found`."""
    keys = Keys(prefix)
    return ("SMEMBERS", keys.routes), ("HGETALL", keys.part(ROUTE, Part.VERSIONS))


def seed(found: Found, urls: Mapping[str, str], prefix: str = "gray:") -> list[Command]:
    """The commands to send, in this order, best in one MULTI; none when there is nothing to do.

    `urls` gives the base URL of every version of the demo.
    """
    keys = Keys(prefix)
    versions = keys.part(ROUTE, Part.VERSIONS)
    if ROUTE in found.routes:
        return [
            ("HSET", versions, name, _entry(url, noted))
            for name, url in urls.items()
            if (noted := _our_notes(found, name)) is not None and noted.get("urls") != [url]
        ]
    if found.routes:
        return []  # somebody's store: the demo adds nothing to it
    return [
        ("HSET", versions, *(text for name, url in urls.items() for text in (name, _entry(url)))),
        ("HSET", keys.part(ROUTE, Part.WEIGHTS), CANDIDATE, str(START_WEIGHT)),
        ("HSET", keys.route(ROUTE), *_route()),
        ("SADD", keys.routes, ROUTE),  # last: a route counts from here on, and is whole by now
    ]


def _route() -> tuple[str, ...]:
    return (
        *("stable", STABLE),
        *("path", "/"),
        *("unit", "header:x-user-id cookie:uid ip"),
        *("dialect", "openai"),
    )


def _entry(url: str, noted: Mapping[str, object] | None = None) -> str:
    return msgspec.json.encode({**(noted or {}), "urls": [url], MARK: True}).decode()


def _our_notes(found: Found, version: str) -> Mapping[str, object] | None:
    """What is noted of a version of the demo, None for one that is not there or not ours."""
    try:
        noted = msgspec.json.decode(found.versions.get(version, ""), type=dict[str, object])
    except msgspec.MsgspecError:
        return None
    return noted if noted.get(MARK) is True else None
