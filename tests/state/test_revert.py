"""The way back is exact: versions, rules, weights and the members of lists, whoever moved them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.state.history import Delta
from gateway.state.raw import RouteState
from gateway.state.registry import Entry, added, removed, restored, retired
from gateway.state.write import Change, Edit, Writer
from tests.servers import Server
from tests.state.following import ME, eventually, following, loaded, seed

STEPS = 60
VERSIONS = ("v1", "v2", "v3", "v4")
LISTS = ("blacklist", *(f"whitelist/{version}" for version in VERSIONS))
IDS = [f"user-{number}".encode() for number in range(12)]

Picture = dict[str, Any]


def picture(store: Server) -> Picture:
    """The route and its lists, as they stand in the store."""
    key = "gray:route:chat"
    lists = {name: store.execute("SMEMBERS", f"{key}:{name.replace('/', ':')}") for name in LISTS}
    return {
        "route": store.cli(f"HGETALL {key}"),
        "versions": store.cli(f"HGETALL {key}:versions"),
        "weights": store.cli(f"HGETALL {key}:weights"),
        "rules": store.cli(f"LRANGE {key}:rules 0 -1"),
        "lists": {name: sorted(members) for name, members in lists.items()},
    }


def edits(draw: random.Random, state: RouteState) -> Edit:
    """One of the things that people do to a route."""
    replace = msgspec.structs.replace
    version, number = draw.choice(VERSIONS[1:]), draw.randint(0, 30)
    rule = f'{{"when": {{"path": "/{number}"}}, "version": "v2"}}'
    able: list[Callable[[RouteState], RouteState]] = [
        lambda s: replace(s, weights={**s.weights, "v2": str(number)}),
        lambda s: replace(s, rules=(*s.rules, rule)),
        lambda s: replace(s, rules=s.rules[1:]),
        lambda s: replace(s, route={**s.route, "timeout_idle": str(number + 1)}),
    ]
    if version not in state.versions:
        able.append(lambda s: added(s, version, Entry(urls=("http://h",), meta={"n": number})))
    elif version != "v2":
        able += [
            lambda s: retired(s, version), lambda s: restored(s, version),
            lambda s: removed(s, version),
        ]  # fmt: skip
    return draw.choice(able)


async def step(draw: random.Random, writer: Writer) -> int:
    """One change through us; the revision after it."""
    state = (await writer.read("chat")).state()
    if draw.random() < 0.5:
        name = f"route/chat/{draw.choice(('blacklist', 'whitelist/v1', 'whitelist/v2'))}"
        come, go = (frozenset(draw.sample(IDS, draw.randint(0, 5))) for _ in range(2))
        change = Change(lists={name: Delta(come, go - come)})
        return (await writer.change("chat", change, ME)).revision
    return (await writer.change("chat", Change(edits(draw, state)), ME)).revision


async def test_every_revision_can_be_brought_back_exactly(store: Server) -> None:
    draw = random.Random(7)
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        pictures: dict[int, Picture] = {}
        for _ in range(STEPS):
            revision = await step(draw, followed.writer)
            pictures[revision] = picture(store)
        for revision in draw.sample(sorted(pictures), 20):
            back = await followed.writer.revert("chat", revision, ME)
            assert picture(store) == pictures[revision], revision
            again = await followed.writer.revert("chat", revision, ME)
            assert (again.changed, again.revision) == (False, back.revision)
        assert back.revision >= STEPS // 2


async def test_what_was_done_by_hand_is_undone_too(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        first = await followed.writer.change(
            "chat", Change(lists={"route/chat/whitelist/v2": Delta(frozenset([b"alice"]))}), ME
        )
        before = picture(store)

        def is_recorded(revision: int) -> bool:
            held = followed.snapshot.routes["chat"]
            return held.revision >= revision and not followed.unrecorded

        store.cli("SADD gray:route:chat:whitelist:v2 bob")
        store.cli("SREM gray:route:chat:whitelist:v2 alice")
        await eventually(lambda: is_recorded(first.revision + 1), "the ids are recorded")
        await eventually(
            lambda: len(followed.snapshot.lists["route/chat/whitelist/v2"]) == 1, "they are read"
        )
        recorded = followed.snapshot.routes["chat"].revision
        store.cli("HSET gray:route:chat:weights v2 33")
        store.cli('RPUSH gray:route:chat:rules \'{"when": {}, "version": "v2"}\'')
        store.cli("HSET gray:route:chat:versions v7 http://h")
        await eventually(lambda: is_recorded(recorded + 1), "the rest is recorded")
        await followed.writer.revert("chat", first.revision, ME)
        assert picture(store) == before
