from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from gateway.metrics.strata import EventCounts
from gateway.process.comparing import MOST_WAITING, Comparer
from gateway.process.plugins import Plugins
from gateway.process.strata import StrataSums
from gateway.proxy.pair import Half, Pair
from gateway.routing.spec import RouteSpec, VersionSpec
from tests.proxy.link import until

NOW = 6_000_000.5
VERSION = VersionSpec(urls=("http://h",))
SPEC = RouteSpec(
    name="chat", stable="v1", versions={"v1": VERSION, "v2": VERSION}, mirror="v2", compare="{}"
)
SECONDS = 10.0


def half(version: str, body: bytes) -> Half:
    return Half(
        version=version, status=200, failure="", content_type="application/json",
        content_encoding="", first_byte_seconds=0.1, seconds=0.2, size_bytes=len(body),
        digest=hash(body), beginning=body, is_truncated=False,
    )  # fmt: skip


def pair(one: bytes, other: bytes, version: str = "v2", **changes: object) -> Pair:
    made = Pair(
        route="chat", request_id="r1", unit=None, primary=half("v1", one), copy=half(version, other)
    )
    return msgspec.structs.replace(made, **changes)


class Kit:
    """A running comparer, and what it has told."""

    def __init__(self, redact: Callable[[str], str] | None = None, allowed: tuple[str, ...] = ()):
        self.spec: RouteSpec | None = SPEC
        self.sums = StrataSums()
        self.plugins = Plugins(allowed)
        self.comparer = Comparer(
            self.sums, lambda route: self.spec, self.plugins, redact, wall=lambda: NOW
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Comparer]:
        task = asyncio.create_task(self.comparer.run())
        await asyncio.sleep(0)
        try:
            yield self.comparer
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def judged(self, count: int) -> None:
        await until(lambda: sum(self.comparer.totals.values()) >= count, "pairs are compared")

    def events(self) -> list[EventCounts]:
        return [event for _, _, _, events in self.sums.take() for event in events]


async def test_pairs_become_counts_of_the_second_that_is_sent_next() -> None:
    kit = Kit()
    async with kit.running() as comparer:
        comparer.put([pair(b'{"a":1}', b'{"a":2}'), pair(b'{"a":1}', b'{"a":1,"id":3}')])
        comparer.put([pair(b'{"a":1}', b'{"a":1}', "v1"), pair(b'{"a":1}', b"nonsense")])
        await kit.judged(4)
    second = int(NOW) + 1
    found = sorted((e.family, e.second, e.version, e.n, e.bad) for e in kit.events())
    assert found == [("shadow", second, "v2", 2, 1), ("shadow_self", second, "v1", 1, 0)]
    assert kit.comparer.totals["chat", "v2", "candidate", "unreadable"] == 1


async def test_pairs_that_the_route_does_not_compare_any_more_are_let_go() -> None:
    kit = Kit()
    async with kit.running() as comparer:
        comparer.put([pair(b"a", b"b", "v3")])
        comparer.put([pair(b"a", b"b", primary=half("v2", b"a"))])
        kit.spec = msgspec.structs.replace(SPEC, compare="")
        comparer.put([pair(b"a", b"b")])
        kit.spec = None
        comparer.put([pair(b"a", b"b")])
        kit.spec = SPEC
        comparer.put([pair(b"a", b"b")])
        await kit.judged(1)
    assert sum(kit.comparer.totals.values()) == 1


async def test_what_there_is_no_time_for_is_dropped_and_counted() -> None:
    kit = Kit()
    kit.comparer.put([pair(b"a", b"b")] * (MOST_WAITING + 3))
    assert kit.comparer.lost == 3
    assert repr(kit.comparer) == f"<Comparer: {MOST_WAITING} pairs wait>"


async def test_examples_are_kept_only_where_secrets_can_be_hidden() -> None:
    for redact, expected in ((None, []), (str.upper, [('{"A":1}', '{"A":2}')])):
        kit = Kit(redact)
        async with kit.running() as comparer:
            comparer.put([pair(b'{"a":1}', b'{"a":2}')])
            await kit.judged(1)
        examples = comparer.examples("chat")
        assert [(one["stable_answer"], one["copy_answer"]) for one in examples] == expected
        assert comparer.examples("other") == []


async def test_a_plug_in_that_fails_harms_its_own_pair_only() -> None:
    kit = Kit(allowed=("math:no_such",))
    compare = '{"kind": "text", "path": "t", "plugin": "math:no_such"}'
    kit.spec = spec = msgspec.structs.replace(SPEC, compare=compare)
    async with kit.running() as comparer:
        comparer.put([pair(b'{"t":"it is warm"}', b'{"t":"it is cold"}')])
        comparer.put([pair(b'{"t":"it is warm"}', b'{"t":""}')])
        await kit.judged(2)
    told = comparer.told(spec)
    assert told["plugins"] == {"math:no_such": {"errors": 1, "newest": "raised AttributeError"}}
    assert told["unreadable"] == {"the plug-in raised AttributeError": 1}
    assert told["pairs"]["candidate"]["reasons"] == {"empty": 1}


async def test_whatever_happens_the_next_pair_is_compared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit = Kit()
    kit.spec = msgspec.structs.replace(SPEC, compare="no JSON at all")
    async with kit.running() as comparer:
        comparer.put([pair(b"a", b"b")])
        kit.spec = SPEC
        comparer.put([pair(b"a", b"b")])
        await kit.judged(1)
    assert "Two answers could not be compared: r1" in caplog.text


async def test_the_thread_ends_with_the_task() -> None:
    kit = Kit()
    before = set(threading.enumerate())
    async with kit.running():
        [thread] = [one for one in set(threading.enumerate()) - before if one.name == "comparer"]
    await asyncio.to_thread(thread.join, SECONDS)
    assert not thread.is_alive()


def test_a_route_that_compares_nothing_says_so() -> None:
    kit = Kit()
    told = kit.comparer.told(msgspec.structs.replace(SPEC, compare=""))
    assert (told["compares"], told["pairs"]["candidate"]["agreement"]) == (False, None)
    assert kit.comparer.holds("chat") == {"v2": ()} and kit.comparer.holds("other") == {}
