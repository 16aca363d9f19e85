"""One gateway of many acts for all, and every edit made by hand is recorded exactly once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import pytest

from gateway.errors import ConflictError, StoreUnavailable
from gateway.state.history import Entry, read_newest_entries
from gateway.state.keys import Keys
from gateway.state.leader import Leader
from gateway.state.link import Link
from gateway.state.release import ReleaseUpdate
from gateway.state.store import Store
from tests.servers import Server
from tests.state.following import (
    CHAT,
    ME,
    eventually,
    following,
    leading,
    loaded,
    members,
    never,
    reasons,
    seed,
    weighs,
)
from tests.state.test_write import weights

V2 = "route/chat/whitelist/v2"


async def history(store: Store, route: str = "chat") -> list[Entry]:
    """All entries, oldest first."""
    return (await read_newest_entries(await store.link(), store.keys, route, 10_000))[::-1]


def revision(store: Store, route: str = "chat") -> int:
    return store.snapshot.routes[route].revision


async def recorded(store: Store, route: str = "chat", at: int = 1) -> None:
    await eventually(
        lambda: revision(store, route) == at and not store._lists.pending,
        f"{route} stands at revision {at}",
    )


async def test_of_five_gateways_exactly_one_records_each_edit(store: Server) -> None:
    seed(store)
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(following(store, own_id=f"gw{n}")) for n in range(5)
        ]
        for gateway in gateways:
            await loaded(gateway)
        await eventually(lambda: sum(bool(one.leader.term) for one in gateways) == 1, "one leads")
        await recorded(gateways[0])
        for number in range(10):
            store.cli(f"HSET gray:route:chat:weights v2 {20 + number}")
            store.cli(f"SADD gray:route:chat:whitelist:v2 user-{number}")
            await weighs(gateways[number % 5], 20 + number)
            await eventually(
                lambda: not any(g._lists.pending for g in gateways)
                and not any(g._keeper.unrecorded for g in gateways),
                "everything is recorded",
            )  # fmt: skip
        entries = await history(gateways[0])
        assert [entry.revision for entry in entries] == list(range(1, len(entries) + 1))
        told = [unit for entry in entries if V2 in entry.deltas for unit in entry.deltas[V2].added]
        assert sorted(told) == sorted(b"user-%d" % number for number in range(10))
        percents = [entry.state.weights["v2"] for entry in entries]
        assert list(dict.fromkeys(percents)) == ["10", *map(str, range(20, 30))]
        assert all(entry.via == "redis" for entry in entries)
        for gateway in gateways:
            await recorded(gateway, at=len(entries))


async def test_an_edit_that_a_dead_leader_left_behind_is_recorded_by_the_next(
    store: Server,
) -> None:
    seed(store)
    seconds, micros = store.execute("TIME")
    ends = int(seconds) * 1000 + int(micros) // 1000 + 1500
    store.cli(f"SET gray:leader 3:dead:{ends}")
    async with following(store) as gateway:
        await loaded(gateway)
        store.cli("HSET gray:route:chat:weights v2 33")
        store.cli("SADD gray:route:chat:whitelist:v2 alice")
        await eventually(lambda: members(gateway, V2) == {b"alice"}, "in force without a leader")
        assert gateway.leader.why_not == "another gateway leads"
        await eventually(lambda: gateway.leader.term > 3, "the lease is over")
        await recorded(gateway)
        [entry] = await history(gateway)
        assert entry.state.weights == {"v2": "33"}
        assert entry.deltas[V2].added == {b"alice"}


@pytest.mark.parametrize("how", ["SET", "XADD"])
async def test_a_broken_history_of_one_route_does_not_hold_back_the_others(
    store: Server, how: str
) -> None:
    lines = [line.replace("chat", "about").replace(":9", ":8") for line in CHAT]
    seed(store, *lines)
    key = "gray:route:about:history"
    store.execute(*(["SET", key, "x"] if how == "SET" else ["XADD", key, "*", "hello", "world"]))
    async with following(store) as gateway:
        await loaded(gateway, "about", "chat")
        await leading(gateway)
        await recorded(gateway)
        assert revision(gateway, "about") == 0
        [doubt] = gateway.snapshot.warnings
        assert doubt.key == key
        store.cli("HSET gray:route:about:weights v2 44")
        await weighs(gateway, 44, route="about")
        store.cli(f"DEL {key}")
        await recorded(gateway, "about")
        assert not gateway.snapshot.warnings


async def test_a_history_deleted_by_hand_begins_anew(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await leading(gateway)
        await gateway.writer.change("chat", weights(v2="20"), ME)
        await recorded(gateway, at=revision(gateway))
        store.cli("DEL gray:route:chat:history")
        await recorded(gateway, at=1)
        await weighs(gateway, 20)
        written = await gateway.writer.change("chat", weights(v2="30"), ME)
        assert written.revision == 2


async def test_an_entry_removed_by_hand_does_not_stop_writing(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await leading(gateway)
        await recorded(gateway)
        await gateway.writer.change("chat", weights(v2="20"), ME)
        await weighs(gateway, 20)
        store.cli("XDEL gray:route:chat:history 2-1")
        key = "gray:route:chat:history"
        await eventually(lambda: reasons(gateway) == [(key, "stale_store")], "it is said")
        written = await gateway.writer.change("chat", weights(v2="30"), ME)
        # The edit that lost its entry is told again first, as made by nobody we know.
        assert written.revision == 4
        await weighs(gateway, 30)
        assert not gateway.snapshot.refused


async def test_an_invalid_edit_is_no_revision_and_the_mended_one_is(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await leading(gateway)
        await recorded(gateway)
        store.cli("HSET gray:route:chat:weights v2 140")
        await eventually(lambda: gateway.snapshot.refused, "refused")
        await never(lambda: revision(gateway) != 1, "an invalid edit was recorded", 0.3)
        store.cli("HSET gray:route:chat:weights v2 14")
        await recorded(gateway, at=2)


async def test_a_leader_that_leaves_gives_its_lease_back(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first:
        await leading(first)
        term = first.leader.term
    async with following(store, own_id="b") as second:
        await leading(second)
        assert second.leader.term > term


@pytest.fixture
def at_will(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways try for the lease once, at their start, and then when the test says so."""
    monkeypatch.setattr("gateway.state.leader.RENEW_SECONDS", 3600.0)


@pytest.mark.usefixtures("at_will")
@pytest.mark.parametrize("comes_back_with", [None, "6:old:1"], ids=["nothing", "an old copy"])
async def test_a_leader_of_before_the_store_lost_its_lease_can_write_no_more(
    store: Server, comes_back_with: str | None
) -> None:
    seed(store)
    if comes_back_with:
        store.cli(f"SET gray:leader {comes_back_with}")
    async with following(store, own_id="a") as first:
        await leading(first)
        store.cli("FLUSHALL")
        seed(store)
        if comes_back_with:
            store.cli(f"SET gray:leader {comes_back_with}")
        async with following(store, own_id="b") as second:
            await leading(second)
            assert first.leader.term, "it has not heard of it yet"
            term = str(first.leader.term)
            with pytest.raises(ConflictError, match="leader"):
                await first.writer.change("chat", replace(weights(v2="30"), term=term), ME)
            with pytest.raises(ConflictError, match="leader"):
                await first.releases.save("chat", ReleaseUpdate(0, begins=True), term)
            await second.writer.change(
                "chat", replace(weights(v2="20"), term=str(second.leader.term)), ME
            )
            assert store.cli("HGET gray:route:chat:weights v2") == "20"


@pytest.mark.usefixtures("at_will")
async def test_of_a_lost_lease_who_led_until_then_is_the_next_leader(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first, following(store, own_id="b") as second:
        both = first.leader, second.leader
        await eventually(lambda: any(one.is_another_leading for one in both), "one leads")
        last, other = sorted(both, key=lambda one: one.is_another_leading)
        term = last.term
        store.cli("FLUSHALL")
        for leader in (other, last, other):
            await leader.try_once()
        assert last.term > term
        assert not other.term
        # One that died with the lease is not waited for any longer than a lease takes.
        store.cli("FLUSHALL")
        await other.try_once()
        nobody, ends = store.execute("GET", "gray:leader").split("::")
        assert (nobody, other.term) == ("0", 0)
        store.cli(f"SET gray:leader 0::{int(ends) - 6001}")
        await other.try_once()
        assert other.term > term


async def test_a_store_that_is_away_has_no_leader() -> None:
    async def nothing() -> Link:
        raise StoreUnavailable("no store")

    leader = Leader(nothing, Keys(), "a")
    leader.term = 5
    await leader.try_once()
    assert (leader.term, leader.why_not) == (0, "no store")
    await leader.resign()  # nothing to give back


async def test_two_writers_of_lists_and_a_hand_end_with_the_truth(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first, following(store, own_id="b") as second:
        await loaded(first)
        await loaded(second)
        for number in range(20):
            store.execute("SADD", "gray:route:chat:whitelist:v2", f"hand-{number}")
            if number % 3 == 0:
                store.execute("SREM", "gray:route:chat:whitelist:v2", f"hand-{number}")
        wanted = {b"hand-%d" % n for n in range(20) if n % 3}
        for one in (first, second):
            await eventually(partial(_agrees, one, wanted), "both hold the truth")


def _agrees(store: Store, wanted: set[bytes]) -> bool:
    return members(store, V2) == wanted and not store._lists.pending


async def test_a_lease_of_another_type_is_told_with_its_key_and_over_when_it_is_gone(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    seed(store)
    store.cli("RPUSH gray:leader x")
    async with following(store) as followed:
        await loaded(followed)
        await eventually(lambda: "DEL gray:leader" in followed.leader.why_not, "it is told")
        assert "Nobody can lead" in caplog.text
        store.cli("DEL gray:leader")
        await leading(followed)
        assert followed.leader.why_not == ""
