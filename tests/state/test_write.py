"""Writes are compare-and-set with their history in the same step."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from gateway.errors import ConflictError, NotFoundError, RefusedError
from gateway.state.history import Delta, read_newest_entries
from gateway.state.raw import RouteState
from gateway.state.reader import read_routes
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import (
    ME,
    eventually,
    following,
    leading,
    loaded,
    members,
    seed,
    spec,
    weight,
)

V2 = "route/chat/whitelist/v2"


def weights(**percents: str) -> Change:
    def edit(state: RouteState) -> RouteState:
        return msgspec.structs.replace(state, weights={**state.weights, **percents})

    return Change(edit)


async def test_a_write_is_in_the_store_in_the_history_and_in_force(any_server: Server) -> None:
    seed(any_server)
    async with following(any_server) as store:
        await loaded(store)
        written = await store.writer.change("chat", weights(v2="20"), ME)
        assert written.changed
        assert any_server.cli("HGETALL gray:route:chat:weights") == {"v2": "20"}
        await eventually(lambda: weight(store) == 20, "the weight is in force")
        assert store.snapshot.routes["chat"].revision == written.revision
        newest, by_hand = await read_newest_entries(await store.link(), store.keys, "chat", 5)
        assert (newest.revision, newest.by, newest.via, newest.why) == (
            written.revision, "tester", "api", "a test",
        )  # fmt: skip
        assert newest.state.weights == {"v2": "20"}
        assert (by_hand.via, by_hand.state.weights) == ("redis", {"v2": "10"})
        assert newest.at_ms >= by_hand.at_ms > 0


async def test_the_fingerprint_of_the_script_is_ours(any_server: Server) -> None:
    names = ["z", "a", "B", "_", "10", "9", "é", "a" * 300]
    seed(any_server, *(f"HSET gray:route:chat:versions x{n} http://h" for n in ("1", "2")))
    for name in names:
        any_server.execute("HSET", "gray:route:chat", name, f"value:{name}\n")
    for number in range(3):
        any_server.execute("RPUSH", "gray:route:chat:rules", '{"when": {}, "version": "v1"}')
        any_server.execute("HSET", "gray:route:chat", f"n{number}", "")
    async with following(any_server) as store:
        await loaded(store)
        # The script computes its own fingerprint and refuses when it is not the one we computed.
        written = await store.writer.change("chat", weights(v2="11"), ME)
        raw = (await read_routes(await store.link(), store.keys, ["chat"]))["chat"]
        assert raw.revision == written.revision
        assert raw.is_recorded


async def test_K10_of_two_writers_one_wins_and_the_other_is_told(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first, following(store, own_id="b") as second:
        await loaded(first)
        await loaded(second)
        start = (await first.writer.change("chat", weights(v2="12"), ME)).revision
        outcomes = await asyncio.gather(
            first.writer.change("chat", replace(weights(v2="30"), expected_revision=start), ME),
            second.writer.change("chat", replace(weights(v2="40"), expected_revision=start), ME),
            return_exceptions=True,
        )
        won = [one for one in outcomes if not isinstance(one, BaseException)]
        lost = [one for one in outcomes if isinstance(one, ConflictError)]
        assert (len(won), len(lost)) == (1, 1)
        assert won[0].revision == start + 1
        assert "Read it again" in str(lost[0])
        wanted = 30 if outcomes[0] is won[0] else 40
        await eventually(lambda: weight(first) == weight(second) == wanted, "both agree")


async def test_writers_that_name_no_revision_all_get_through(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first, following(store, own_id="b") as second:
        await loaded(first)
        await loaded(second)
        before = (await first.writer.change("chat", weights(v2="1"), ME)).revision
        for percent in range(2, 12):
            await asyncio.gather(
                first.writer.change("chat", weights(v2=str(percent)), ME),
                second.writer.change(
                    "chat", Change(lists={V2: Delta(frozenset([b"u%d" % percent]))}), ME
                ),
            )
        await eventually(lambda: first.snapshot.routes["chat"].revision == before + 20, "all in")
        assert len(members(first, V2)) == 10


async def test_an_edit_by_redis_cli_between_reading_and_writing_counts_as_a_writer(
    store: Server,
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        revision = (await followed.writer.change("chat", weights(v2="15"), ME)).revision
        store.cli("HSET gray:route:chat:weights v2 16")
        with pytest.raises(ConflictError):
            await followed.writer.change(
                "chat", replace(weights(v2="17"), expected_revision=revision), ME
            )
        assert store.cli("HGET gray:route:chat:weights v2") == "16"

        def edit_and_be_overtaken(state: RouteState) -> RouteState:
            store.cli("HSET gray:route:chat:weights v2 18")
            return msgspec.structs.replace(state, weights={"v2": "19"})

        now = (await read_routes(await followed.link(), followed.keys, ["chat"]))["chat"].revision
        with pytest.raises(ConflictError):
            await followed.writer.change(
                "chat", Change(edit_and_be_overtaken, expected_revision=now), ME
            )
        assert store.cli("HGET gray:route:chat:weights v2") == "18"


async def test_what_the_contract_forbids_is_refused_and_nothing_is_written(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await followed.writer.change("chat", weights(v2="20"), ME)
        before = store.cli("XLEN gray:route:chat:history")
        for wrong in ("140", "-1", "NaN", "ten"):
            with pytest.raises(RefusedError, match="nothing was written"):
                await followed.writer.change("chat", weights(v2=wrong), ME)
        with pytest.raises(RefusedError, match="no version"):
            await followed.writer.change("chat", weights(v9="1"), ME)
        with pytest.raises(RefusedError, match="belongs to no version"):
            lists = {"route/chat/whitelist/v9": Delta(frozenset([b"x"]))}
            await followed.writer.change("chat", Change(lists=lists), ME)
        with pytest.raises(RefusedError, match="1 to 256"):
            await followed.writer.change("chat", Change(lists={V2: Delta(frozenset([b""]))}), ME)
        with pytest.raises(RefusedError, match="no route name"):
            await followed.writer.change("a b", weights(v2="1"), ME)
        assert store.cli("XLEN gray:route:chat:history") == before
        assert store.cli("HGET gray:route:chat:weights v2") == "20"


async def test_a_write_that_changes_nothing_makes_no_revision(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        first = await followed.writer.change("chat", weights(v2="20"), ME)
        again = await followed.writer.change("chat", weights(v2="20"), ME)
        assert (again.revision, again.changed) == (first.revision, False)
        add = Change(lists={V2: Delta(frozenset([b"alice"]))})
        first = await followed.writer.change("chat", add, ME)
        again = await followed.writer.change("chat", add, ME)
        assert (again.revision, again.changed) == (first.revision, False)


async def test_any_revision_can_be_restored_with_weights_rules_versions_and_lists(
    store: Server,
) -> None:
    rule = '{"when": {"path": "/x"}, "version": "v2"}'
    seed(
        store,
        "SADD gray:route:chat:whitelist:v2 alice bob",
        f"RPUSH gray:route:chat:rules '{rule}'",
    )
    async with following(store) as followed:
        await loaded(followed)
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 1, "recorded")
        wanted = followed.snapshot.routes["chat"].state

        await followed.writer.change("chat", weights(v2="50"), ME)
        lists = {V2: Delta(frozenset([b"carol"]), frozenset([b"bob"]))}
        middle = await followed.writer.change("chat", Change(lists=lists), ME)
        for line in (
            "DEL gray:route:chat:rules",
            "HSET gray:route:chat:versions v3 http://127.0.0.1:9003",
            "HSET gray:route:chat:weights v3 5",
            "SREM gray:route:chat:whitelist:v2 alice",
            "SADD gray:route:chat:whitelist:v3 zoe",
            "SADD gray:route:chat:blacklist mallory",
        ):
            store.cli(line)
        await eventually(
            lambda: (
                followed.snapshot.routes["chat"].revision > middle.revision
                and not followed._lists.pending
                and members(followed, "route/chat/blacklist")
            ),
            "the edits made by hand are recorded",
        )
        back = await followed.writer.revert("chat", 1, ME)
        await eventually(
            lambda: followed.snapshot.routes["chat"].revision == back.revision, "back in force"
        )
        assert followed.snapshot.routes["chat"].state == wanted
        assert spec(followed).rules[0].version == "v2"
        assert store.cli("SMEMBERS gray:route:chat:whitelist:v2") == {"alice", "bob"}
        assert store.cli("EXISTS gray:route:chat:blacklist gray:route:chat:whitelist:v3") == 0

        again = await followed.writer.revert("chat", middle.revision, ME)
        assert again.revision == back.revision + 1
        assert store.cli("SMEMBERS gray:route:chat:whitelist:v2") == {"alice", "carol"}
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "50"}


async def test_restoring_what_was_never_there_is_refused(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await followed.writer.change("chat", weights(v2="20"), ME)
        for revision in (0, 99, -1):
            with pytest.raises(NotFoundError, match="history"):
                await followed.writer.revert("chat", revision, ME)


async def test_a_thousand_revisions_can_be_gone_back_through(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        first = await followed.writer.change("chat", weights(v2="1"), ME)
        for number in range(1000):
            await followed.writer.change(
                "chat",
                Change(
                    weights(v2=str(number % 100)).edit,
                    {V2: Delta(frozenset([b"u%d" % number]))},
                ),
                ME,
            )
        back = await followed.writer.revert("chat", first.revision, ME)
        assert back.revision == first.revision + 1001
        assert store.cli("HGET gray:route:chat:weights v2") == "1"
        assert store.cli("SCARD gray:route:chat:whitelist:v2") == 0


async def test_a_deleted_route_is_gone_on_purpose_and_can_come_back(store: Server) -> None:
    seed(store, "SADD gray:route:chat:whitelist:v2 alice")
    async with following(store) as followed:
        await loaded(followed)
        revision = (await followed.writer.change("chat", weights(v2="20"), ME)).revision
        await followed.writer.delete("chat", ME)
        await eventually(lambda: not followed.snapshot.routes, "the last route is gone")
        assert not followed.snapshot.refused
        with pytest.raises(NotFoundError):
            await followed.writer.delete("chat", ME)
        with pytest.raises(RefusedError, match="deletion"):
            await followed.writer.revert("chat", revision + 1, ME)
        await followed.writer.revert("chat", revision, ME)
        await eventually(lambda: followed.snapshot.routes, "the route is back")
        assert weight(followed) == 20
        assert members(followed, V2) == {b"alice"}


async def test_a_deposed_leader_can_write_no_more(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        term = followed.leader.term
        await followed.writer.change("chat", replace(weights(v2="20"), term=str(term)), ME)
        store.cli(f"SET gray:leader {term + 1}:other:99999999999999")
        with pytest.raises(ConflictError, match="leader"):
            await followed.writer.change("chat", replace(weights(v2="30"), term=str(term)), ME)
        assert store.cli("HGET gray:route:chat:weights v2") == "20"


async def test_a_way_back_in_many_steps_tells_that_it_changed_something(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store)
    monkeypatch.setattr("gateway.state.write.IDS_PER_REVISION", 2)
    kept, passing = frozenset([b"a", b"b"]), frozenset([b"c", b"d", b"e", b"f"])
    async with following(store) as followed:
        await loaded(followed)
        writer = followed.writer
        goal = await writer.change("chat", Change(lists={V2: Delta(kept)}), ME)
        await writer.change("chat", Change(lists={V2: Delta(passing)}), ME)
        await writer.change("chat", Change(lists={V2: Delta(removed=kept | passing)}), ME)
        # The ids that only passed through are taken out last, and are out already.
        back = await writer.revert("chat", goal.revision, ME)
        assert back.changed
        assert store.execute("SMEMBERS", "gray:route:chat:whitelist:v2") == {"a", "b"}
        assert not (await writer.revert("chat", back.revision, ME)).changed
