"""The stream of per-second numbers, in real stores."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.config.secret import Secret
from gateway.config.settings import Redis
from gateway.errors import StoreError, StoreUnavailable
from gateway.metrics.strata import CellCounts, EventCounts
from gateway.state import strata as module
from gateway.state.keys import Keys
from gateway.state.store import WorkLink
from gateway.state.strata import KEPT_ENTRIES, KEPT_SECONDS, START, Batch, Entry, StrataLog
from tests.servers import Server
from tests.state.following import CHAT, eventually, following, loaded, never
from tests.state.test_audit import rights

KEY = "gray:route:chat:strata"
OF_NO_STREAM = "gray:route:chat:strata is not a stream"
CELL = CellCounts(
    1_700_000_000, "chat", "v1", 7, 6, 1, 1, 4, [2**64 - 1], 3, 3, 1, {-40: 5, 3: 1}, {-41: 6}, {}
)
EVENT = EventCounts(1_700_000_000, "chat", "v2", "shadow", 3, 1)


@pytest.fixture
async def log(any_server: Server) -> AsyncIterator[StrataLog]:
    async for made in connected(any_server):
        yield made


async def connected(server: Server) -> AsyncIterator[StrataLog]:
    work = WorkLink(Redis(url=server.url, timeout_seconds=0.5))
    yield StrataLog(work.get, Keys())
    await work.close()


def entry(number: int, sent: int = 5, route: str = "chat") -> Entry:
    return Entry.of(route, "gw1", sent, number, [msgspec.structs.replace(CELL, route=route)])


async def test_what_was_appended_is_read_as_it_was(log: StrataLog) -> None:
    await log.append("chat", "gw1", 5, [CELL], [EVENT])
    await log.append("chat", "gw2", 5, [CELL, CELL])
    one, two = await log.read("chat")
    assert (one.gateway, one.sent, one.cells, one.events) == ("gw1", 5, (CELL,), (EVENT,))
    assert (two.gateway, two.cells, two.events) == ("gw2", (CELL, CELL), ())
    assert await log.newest_id("chat") == two.id
    assert repr(log) == "<StrataLog of 1 routes>"


async def test_reading_goes_on_where_it_ended(log: StrataLog) -> None:
    for sent in range(5):
        await log.append("chat", "gw1", sent, [CELL])
    first = await log.read("chat", START, 2)
    rest = await log.read("chat", first[-1].id)
    assert [batch.sent for batch in (*first, *rest)] == [0, 1, 2, 3, 4]
    assert await log.read("chat", rest[-1].id) == []
    assert await log.read("chat") == [*first, *rest]  # and again from the start


async def test_of_a_route_without_traffic_there_is_nothing(log: StrataLog) -> None:
    assert await log.read("chat") == []
    assert await log.newest_id("chat") == START


async def test_all_routes_are_written_in_one_go(log: StrataLog, any_server: Server) -> None:
    assert await log.append_all([entry(1), entry(2, route="draw")]) == [None, None]
    assert len(await log.read("chat")) == len(await log.read("draw")) == 1
    for key in (KEY, "gray:route:draw:strata"):
        assert KEPT_SECONDS - 60 < any_server.cli(f"TTL {key}") <= KEPT_SECONDS


async def test_what_is_in_the_store_twice_is_read_once(log: StrataLog) -> None:
    await log.append_all([entry(1), entry(2), entry(1), entry(3), entry(2)])
    batches = await log.read("chat", START, 2)
    batches += await log.read("chat", batches[-1].id)
    assert len(batches) == 3
    assert await log.read("chat") == batches


async def test_one_route_that_refuses_holds_up_no_other(log: StrataLog, any_server: Server) -> None:
    any_server.cli(f"SET {KEY} garbage")
    first, second = await log.append_all([entry(1), entry(2, route="draw")])
    assert isinstance(first, StoreError)
    assert second is None
    with pytest.raises(StoreError, match=OF_NO_STREAM):
        await log.append("chat", "gw1", 5, [CELL])
    for reading in (log.read("chat"), log.newest_id("chat")):
        with pytest.raises(StoreError, match=OF_NO_STREAM):
            await reading


async def test_garbage_is_passed_over_with_one_warning(
    log: StrataLog, any_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def type_garbage() -> None:
        any_server.execute("XADD", KEY, "*", "note", "who reads this?")
        any_server.execute("XADD", KEY, "*", "g", "gw1", "at", "5", "n", "9", "d", "garbage")
        any_server.execute(
            "XADD", KEY, "*", "g", b"\xff", "at", "5", "n", "9", "d", b"\x92\x90\x90"
        )
        any_server.execute(
            "XADD", KEY, "*", "g", "gw1", "at", "now", "n", "9", "d", b"\x92\x90\x90"
        )

    type_garbage()
    await log.append("chat", "gw1", 5, [CELL])
    type_garbage()
    await log.append("chat", "gw1", 6, [CELL])
    with caplog.at_level(logging.WARNING):
        # Even when a piece holds nothing but garbage, there is something behind it.
        batches: list[Batch] = []
        while found := await log.read("chat", batches[-1].id if batches else START, 2):
            batches += found
    assert [batch.sent for batch in batches] == [5, 6]
    assert [record.getMessage().partition(" of ")[2] for record in caplog.records] == [
        f"{KEY} is none of ours and is passed over."
    ]


async def test_garbage_at_the_end_is_looked_at_once(
    log: StrataLog, any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append("chat", "gw1", 5, [CELL])
    for _ in range(5):
        any_server.execute("XADD", KEY, "*", "note", "garbage")
    [one] = await log.read("chat", START, 1)
    assert await log.read("chat", one.id, 2) == []
    monkeypatch.setattr(module, "_batch", None)  # nothing is decoded any more
    assert await log.read("chat", one.id, 2) == []
    monkeypatch.undo()
    await log.append("chat", "gw1", 6, [CELL])
    assert [batch.sent for batch in await log.read("chat", one.id, 2)] == [6]


async def test_a_stream_keeps_the_newest_two_hours(log: StrataLog, any_server: Server) -> None:
    for start in range(0, KEPT_ENTRIES + 600, 500):
        await log.append_all([entry(number) for number in range(start, start + 500)])
    assert KEPT_ENTRIES <= any_server.cli(f"XLEN {KEY}") < KEPT_ENTRIES + 300
    assert await log.read("chat", "1-0", 1) == await log.read("chat", START, 1)


async def test_while_the_store_is_away_nothing_pretends_to_work(fresh_valkey: Server) -> None:
    async for log in connected(fresh_valkey):
        await log.append("chat", "gw1", 5, [CELL])
        fresh_valkey.kill()
        for asking in (
            log.append("chat", "gw1", 6, [CELL]),
            log.read("chat"),
            log.newest_id("chat"),
        ):
            with pytest.raises(StoreUnavailable):
                await asking


async def test_numbers_do_not_make_the_gateways_read_their_routes(store: Server) -> None:
    for line in CHAT:
        store.cli(line)
    async with following(store, poll_seconds=60.0) as followed:
        await loaded(followed)
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 1, "it is recorded")
        before = followed.status.attempts  # the first look at everything may be still to come
        log = StrataLog(followed.link, followed.keys)
        await log.append("chat", "gw1", 5, [CELL])
        await never(lambda: followed.status.attempts > before + 1, "a reading", 0.3)


async def test_an_id_that_is_none_is_refused_with_advice(log: StrataLog) -> None:
    await log.append("chat", "gw1", 5, [CELL])
    assert len(await log.read("chat", "0")) == 1
    for wrong in ("garbage", "", "1-x", "$"):
        with pytest.raises(StoreError, match=f"{START} to begin anew"):
            await log.read("chat", wrong)


@pytest.mark.parametrize("taken_away", ["", "-expire"], ids=["as it is", "as it was before"])
async def test_the_rights_that_the_readme_asks_for_are_enough(
    fresh_valkey: Server, taken_away: str
) -> None:
    fresh_valkey.execute("ACL", "SETUSER", "gw", "on", ">secret", *rights())
    if taken_away:
        fresh_valkey.execute("ACL", "SETUSER", "gw", taken_away)
    work = WorkLink(Redis(url=fresh_valkey.url, username="gw", password=Secret("secret")))
    log = StrataLog(work.get, Keys())
    await log.append("chat", "gw1", 5, [CELL])
    [batch] = await log.read("chat")
    assert batch.id == await log.newest_id("chat")
    assert (fresh_valkey.cli(f"TTL {KEY}") > 0) == (not taken_away)
    await work.close()


async def test_a_life_is_prolonged_while_there_is_traffic(
    log: StrataLog, any_server: Server
) -> None:
    await log.append("chat", "gw1", 1000, [CELL])
    any_server.cli(f"EXPIRE {KEY} 50")
    await log.append("chat", "gw1", 1001, [CELL])
    assert any_server.cli(f"TTL {KEY}") <= 50
    await log.append("chat", "gw1", 1600, [CELL])
    assert any_server.cli(f"TTL {KEY}") > 50
