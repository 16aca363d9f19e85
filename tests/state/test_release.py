"""A release in the store: one step for all of it, and only for whoever may."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.errors import ConflictError, RefusedError, StoreError
from gateway.state.history import read_newest_entries
from gateway.state.keys import Keys, Part
from gateway.state.raw import RouteState
from gateway.state.release import (
    COMMANDS_AT_ONCE,
    FINISHED_KEPT,
    MOST_COMMAND_BYTES,
    MOST_COMMANDS,
    ReleaseRecord,
    ReleaseUpdate,
    may_deal_anew,
    release_keys,
)
from gateway.state.store import Store
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import ME, following, leading, loaded, seed, spec, weighs
from tests.state.test_write import weights

RELEASE = "gray:route:chat:release"
START = ReleaseUpdate(0, {"id": "r1", "release": "r1", "status": b"{}", "read": "5-0"}, begins=True)


def with_release(update: ReleaseUpdate, term: str = "", **percents: str) -> Change:
    return replace(weights(**percents), release=update, term=term)


async def started(store: Store) -> None:
    await store.releases.save("chat", START)


async def test_what_is_written_is_read_again(any_server: Server) -> None:
    seed(any_server)
    async with following(any_server) as store:
        await loaded(store)
        assert await store.releases.read("chat") == ReleaseRecord()
        await started(store)
        assert await store.releases.attended() == {"chat"}
        judge = bytes(range(256))
        await store.releases.save("chat", ReleaseUpdate(1, {"judge": judge, "term": "3"}))
        assert await store.releases.read("chat") == ReleaseRecord(
            id="r1", release="r1", is_running=True, step=2, term="3", status=b"{}", judge=judge,
            read="5-0",
        )  # fmt: skip


async def test_weights_history_and_release_move_in_one_step(any_server: Server) -> None:
    seed(any_server)
    async with following(any_server) as store:
        await loaded(store)
        await started(store)
        update = ReleaseUpdate(1, {"term": "5"})
        written = await store.writer.change("chat", with_release(update, v2="5"), ME)
        await weighs(store, 5)
        assert any_server.cli(f"HMGET {RELEASE} term step") == ["5", "2"]
        [entry] = await read_newest_entries(await store.link(), store.keys, "chat", 1)
        assert (entry.revision, entry.state.weights) == (written.revision, {"v2": "5"})


async def test_a_release_that_moved_on_holds_back_the_weights_too(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await started(gateway)
        for update in (ReleaseUpdate(0), ReleaseUpdate(2)):
            with pytest.raises(ConflictError, match="somebody else"):
                await gateway.writer.change("chat", with_release(update, v2="50"), ME)
            with pytest.raises(ConflictError, match="somebody else"):
                await gateway.releases.save("chat", update)
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
        assert store.cli(f"HGET {RELEASE} step") == "1"


async def test_only_the_term_of_the_lease_writes(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await leading(gateway)
        await started(gateway)
        own = str(gateway.leader.term)
        for term in ("0", str(gateway.leader.term - 1), str(gateway.leader.term + 1)):
            with pytest.raises(ConflictError, match="no longer the leader"):
                await gateway.releases.save("chat", ReleaseUpdate(1), term)
            change = with_release(ReleaseUpdate(1), term, v2="50")
            with pytest.raises(ConflictError, match="no longer the leader"):
                await gateway.writer.change("chat", change, ME)
        await gateway.releases.save("chat", ReleaseUpdate(1), own)
        await gateway.writer.change("chat", with_release(ReleaseUpdate(2), own, v2="50"), ME)
        assert store.cli(f"HGET {RELEASE} step") == "3"


async def test_a_weight_can_be_written_past_a_history_that_takes_nothing(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await leading(gateway)
        await started(gateway)
        store.cli("DEL gray:route:chat:history")
        store.cli("SET gray:route:chat:history x")
        term = gateway.leader.term
        with pytest.raises(ConflictError, match="no longer the leader"):
            await gateway.releases.save("chat", ReleaseUpdate(1), str(term + 1), {"v2": "0"})
        await weighs(gateway, 10)
        await gateway.releases.save("chat", ReleaseUpdate(1), str(term), {"v2": "0"})
        await weighs(gateway, 0)


async def test_of_many_who_write_at_once_each_step_is_written_once(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first, following(store, own_id="b") as second:
        await loaded(first)
        await loaded(second)
        await started(first)

        async def write_often(gateway: Store) -> int:
            done = 0
            for _ in range(50):
                step = (await gateway.releases.read("chat")).step
                with suppress(ConflictError):
                    await gateway.releases.save("chat", ReleaseUpdate(step))
                    done += 1
            return done

        done = await asyncio.gather(write_often(first), write_often(second))
        assert store.cli(f"HGET {RELEASE} step") == str(1 + sum(done))


async def test_the_id_of_the_release_is_the_salt_and_outlives_it(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await started(gateway)
        await weighs(gateway, 10)
        end = ReleaseUpdate(1, {"status": b'{"phase":"promoted"}'}, running=False, finished=b"{}")
        await gateway.writer.change("chat", with_release(end, v2="0"), ME)
        await weighs(gateway, 0)
        assert spec(gateway).salt == "chat:r1"
        assert await gateway.releases.attended() == {"chat"}
        await gateway.releases.save("chat", ReleaseUpdate(2))
        assert not await gateway.releases.attended()
        assert not (await gateway.releases.read("chat")).is_running


async def test_commands_are_taken_in_order_and_only_those_that_were_seen(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await started(gateway)
        for number in range(COMMANDS_AT_ONCE + 2):
            await gateway.releases.command("chat", b"%d" % number)
        look = await gateway.releases.look("chat", "v2")
        assert look.commands == tuple(b"%d" % number for number in range(COMMANDS_AT_ONCE))
        assert (look.step, look.release, look.is_running) == (1, "r1", True)
        assert (look.stable, look.percent) == ("v1", "10")
        update = ReleaseUpdate(1, commands_taken=len(look.commands))
        await gateway.releases.save("chat", update)
        rest = await gateway.releases.look("chat", "v2")
        assert rest.commands == (b"%d" % COMMANDS_AT_ONCE, b"%d" % (COMMANDS_AT_ONCE + 1))


async def test_commands_that_are_too_long_or_too_many_stay_where_they_are(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await started(gateway)
        key = "gray:route:chat:commands"
        store.execute("RPUSH", key, "x" * (MOST_COMMAND_BYTES + 1), "pause", "y" * 99_999, "abort")
        look = await gateway.releases.look("chat", "v2")
        assert look.commands == (b"pause", b"abort")
        assert (look.too_long, look.passed_over, look.commands_seen) == (99_999, 0, 4)
        store.execute("RPUSH", key, *["resume"] * MOST_COMMANDS, "rollback")
        look = await gateway.releases.look("chat", "v2")
        assert len(look.commands) == COMMANDS_AT_ONCE
        assert look.commands[-1] == b"rollback"
        assert (look.too_long, look.commands_seen) == (0, MOST_COMMANDS + 5)
        await gateway.releases.save("chat", ReleaseUpdate(1, commands_taken=look.commands_seen))
        assert store.cli(f"LLEN {key}") == 0


async def test_what_is_typed_is_found_for_the_routes_that_are_named(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        store.cli("RPUSH gray:route:chat:commands rollback")
        store.cli("SET gray:route:other:commands x")
        assert not await gateway.releases.attended()
        assert await gateway.releases.attended(["chat", "other", "third"]) == {"chat"}


async def test_what_is_said_to_a_release_that_is_over_is_heard(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await started(gateway)
        await gateway.releases.save("chat", ReleaseUpdate(1, running=False))
        assert not await gateway.releases.attended()
        await gateway.releases.command("chat", b"rollback")
        assert await gateway.releases.attended() == {"chat"}
        await gateway.releases.save("chat", ReleaseUpdate(2))  # it saw nothing of the command
        assert await gateway.releases.attended() == {"chat"}
        await gateway.releases.save("chat", ReleaseUpdate(3, commands_taken=1))
        assert not await gateway.releases.attended()


async def test_commands_of_an_earlier_release_are_not_for_the_next(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        await gateway.releases.command("chat", b"old")
        await started(gateway)
        assert not (await gateway.releases.look("chat", "v2")).commands


async def test_commands_that_nobody_takes_are_refused_at_last(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        store.execute("RPUSH", "gray:route:chat:commands", *["pause"] * MOST_COMMANDS)
        with pytest.raises(RefusedError, match="no gateway seems to lead"):
            await gateway.releases.command("chat", b"pause")
        with pytest.raises(RefusedError, match="shorten"):
            await gateway.releases.command("chat", b"x" * 5000)


async def test_the_last_finished_releases_are_kept_newest_first(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        for step in range(FINISHED_KEPT + 3):
            await gateway.releases.save("chat", ReleaseUpdate(step, finished=b"%d" % step))
        kept = await gateway.releases.finished("chat")
        assert kept[0] == b"%d" % (FINISHED_KEPT + 2)
        assert len(kept) == FINISHED_KEPT


@pytest.mark.parametrize("number", range(4))
async def test_a_key_of_another_type_is_named_and_nothing_is_written(
    store: Server, number: int
) -> None:
    seed(store)
    key = release_keys(Keys(), "chat")[number]
    async with following(store) as gateway:
        await loaded(gateway)
        store.execute("SETBIT", key, 1, 1)
        with pytest.raises(StoreError if number == 0 else RefusedError, match=r"DEL|TYPE"):
            await gateway.releases.read("chat")
            await gateway.releases.save("chat", START)
        with pytest.raises(RefusedError, match=key):
            await gateway.writer.change("chat", with_release(START, v2="50"), ME)
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}


async def test_a_step_that_is_no_number_is_told(store: Server) -> None:
    seed(store, f"HSET {RELEASE} step many")
    async with following(store) as gateway:
        await loaded(gateway)
        for call in (gateway.releases.read("chat"), gateway.releases.look("chat", "v2")):
            with pytest.raises(StoreError, match="DEL gray:route:chat:release"):
                await call


async def test_what_a_release_writes_is_told_to_those_who_listen(store: Server) -> None:
    seed(store)
    async with following(store) as gateway:
        await loaded(gateway)
        heard: list[tuple[str, Part]] = []
        woken = asyncio.Event()

        def hear(route: str, part: Part) -> None:
            heard.append((route, part))
            woken.set()

        gateway.subscribe_releases(hear)
        for line, told in (
            ("RPUSH gray:route:chat:commands pause", ("chat", Part.COMMANDS)),
            ("XADD gray:route:chat:strata * g a", ("chat", Part.STRATA)),
            (f"HSET {RELEASE} evidence x", ("chat", Part.RELEASE)),
            ("SADD gray:releases chat", ("", Part.RELEASES)),
        ):
            heard.clear()
            woken.clear()
            store.cli(line)
            await asyncio.wait_for(woken.wait(), 10)
            assert heard == [told]


@pytest.mark.parametrize(
    ("state", "may"),
    [
        (RouteState(), True),
        (RouteState(weights={"v2": "0", "v3": "0.0"}), True),
        (RouteState(weights={"v2": "0.01"}), False),
        (RouteState(weights={"v2": "what"}), False),
        (RouteState(rules=('{"when": {}, "version": "v2"}',)), True),
        (RouteState(rules=('{"when": {}, "weights": {"v2": 5}}',)), False),
    ],
)
def test_nobody_is_dealt_anew_while_units_follow_a_weight(state: RouteState, may: bool) -> None:
    assert may_deal_anew(state) is may
