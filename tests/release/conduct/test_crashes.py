"""Killed at any point, the controller has done a step wholly or not at all.

Each second of a release is tried with a controller that dies at its first command to the store,
then by another one that dies at its second command, and so on until one survives the second. Half
of them die before the store hears the command, half when it has done it. What comes of it all must
be what comes of a controller that nobody kills.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import msgspec
import pytest

from gateway.state.history import read_newest_entries
from gateway.state.link import Link
from tests.release.conduct.conducting import PLAN, Clock, Leader, leader
from tests.servers import Server
from tests.state.following import ME

SECONDS = 125


class Killed(BaseException):
    """As kill -9: nothing of ours runs any more."""


# True in a tick and in what it starts, but not in the store's own tasks, such as the lease.
IN_TICK = ContextVar("IN_TICK", default=False)


class Deadly:
    """Kills at one of the commands that a tick sends over a link."""

    def __init__(self, link: Link, *, after: bool) -> None:
        self.left = -1
        self.kills = 0
        self._after = after
        for name in ("pipeline", "transaction"):
            setattr(link, name, self._wrapped(getattr(link, name)))

    def _wrapped(self, ask: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def asked(*words: Any, **options: Any) -> object:
            self.left -= int(IN_TICK.get())
            if self.left != 0 or not IN_TICK.get():
                return await ask(*words, **options)
            self.kills += 1
            if self._after:
                await ask(*words, **options)
            raise Killed

        return asked


async def story(
    server: Server, mode: str, start: float, traffic: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """What became of a release, and how many controllers died for it."""
    server.flush()
    async with leader(server) as first:
        clock = Clock(start)
        gateway = Leader(first.store, clock)
        gateway.log = first.log
        deadly = None
        if mode != "alive":
            deadly = Deadly(await first.store.link(), after=mode == "after")
        await gateway.desk.start("chat", PLAN, ME)
        events: dict[str, str] = {}
        for _ in range(SECONDS):
            await gateway.send(**traffic)
            clock.now += 1
            for number in range(1, 40):
                if deadly is not None:
                    deadly.left = number
                    gateway = Leader(first.store, clock)
                    gateway.log = first.log
                token = IN_TICK.set(True)
                try:
                    await gateway.controller.tick()
                except Killed:
                    pass
                else:
                    break
                finally:
                    IN_TICK.reset(token)
                    events |= {n.id: n.event for n in gateway.heard.notices.values()}
        status = await gateway.look()
        record = await first.store.releases.read("chat")
        entries = await read_newest_entries(await first.store.link(), first.store.keys, "chat", 99)
        evidence = msgspec.json.decode(record.evidence)["newest"]
        told = {
            "phase": status.phase,
            "decisions": [(d.at, d.kind, d.text) for d in status.decisions],
            "history": [(e.revision, e.state.weights, _masked(e.why)) for e in entries],
            "requests": (evidence["candidate_requests"], evidence["stable_requests"]),
            "e": [family["e"] for family in evidence["families"]],
            "weights": server.cli("HGETALL gray:route:chat:weights"),
            "events": sorted(events.values()),
        }
        return told, deadly.kills if deadly else 0


def _masked(text: str) -> str:
    return re.sub(r"r\d+-[0-9a-f]{4}", "RELEASE", text)


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("traffic", [{}, {"candidate_bad": 9}], ids=["good", "bad"])
async def test_a_controller_that_dies_at_every_command_conducts_the_same_release(
    store: Server, mode: str, traffic: dict[str, Any]
) -> None:
    start = Clock().now
    wanted, _ = await story(store, "alive", start, traffic)
    assert wanted["requests"][0] > 5
    assert wanted["phase"] in ("promoted", "rolled-back")
    found, kills = await story(store, mode, start, traffic)
    assert kills > SECONDS
    assert found == wanted
