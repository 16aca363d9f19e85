"""The store as the control process uses it, and stories of what people do in it by hand."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

import msgspec
import pytest

from gateway.config.settings import Redis
from gateway.errors import RefusedError, StoreUnavailable
from gateway.state.history import Delta, read_newest_entries
from gateway.state.lastgood import LastGood
from gateway.state.snapshot import Snapshot
from gateway.state.store import Store, WorkLink
from gateway.state.write import Change
from tests.servers import Server, free_port
from tests.state.following import (
    ME,
    eventually,
    following,
    leading,
    loaded,
    members,
    never,
    reasons,
    seed,
    spec,
    weighs,
    weight,
)
from tests.state.test_write import weights

V2 = "route/chat/whitelist/v2"
BETA = "segment/beta"
WHITELIST = "gray:route:chat:whitelist:v2"
BY_SEGMENT = '\'{"when": {"segment": "beta"}, "version": "v2"}\''


def revision(store: Store) -> int:
    return store.snapshot.routes["chat"].revision


def is_settled(store: Store) -> bool:
    """Nothing waits to be recorded, and what was recorded is in force."""
    if store._lists.pending or store._keeper.unrecorded:
        return False
    readings = {name: store.reading(name) for name in store.snapshot.routes}
    return all(
        reading is None or reading.raw.revision == store.snapshot.routes[name].revision
        for name, reading in readings.items()
    )


def is_refused(store: Store, key: str) -> bool:
    return any(key == refused for refused, _ in reasons(store))


async def settled(store: Store) -> None:
    await eventually(partial(is_settled, store), "everything is recorded")


# Subscribers, log, disk


async def test_a_subscriber_hears_of_every_table_once_and_of_the_present_one_at_once(
    store: Server,
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await settled(followed)
        seen: list[Snapshot] = []
        followed.subscribe(seen.append)
        assert seen == [followed.snapshot]
        await followed.writer.change("chat", weights(v2="20"), ME)
        await weighs(followed, 20)
        followed._watch.wake()
        await never(lambda: len(seen) > 2, "a table told twice", 0.5)
        assert [one.sequence for one in seen] == [seen[0].sequence, seen[0].sequence + 1]


async def test_a_subscriber_that_is_early_hears_of_the_first_table(store: Server) -> None:
    followed = Store(Redis(url=store.url), None, "a")
    seen: list[Snapshot] = []
    followed.subscribe(seen.append)
    assert seen == []
    running = asyncio.create_task(followed.run())
    await eventually(lambda: seen, "the first table, though it is empty")
    assert (seen[0].sequence, dict(seen[0].routes)) == (1, {})
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_refusal_is_said_and_counted_once_while_it_lasts(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        caplog.set_level(logging.WARNING)
        store.cli("HSET gray:route:chat:weights v2 140")
        await eventually(lambda: followed.snapshot.refused, "refused")
        store.cli("HSET gray:route:chat:zzz a b")
        await eventually(lambda: followed.snapshot.warnings, "a doubt")
        followed._watch.wake()
        store.cli("HSET gray:route:chat dialect openai")
        await never(lambda: followed.status.rejected.total() != 1, "counted again", 0.4)
        said = [record.getMessage() for record in caplog.records]
        assert len([line for line in said if line.startswith("Refused")]) == 1
        assert len([line for line in said if line.startswith("Doubtful")]) == 1
        store.cli("HSET gray:route:chat:weights v2 14")
        await weighs(followed, 14)
        store.cli("HSET gray:route:chat:weights v2 140")
        await eventually(lambda: followed.status.rejected["chat", "bad_value"] == 2, "said anew")


async def test_a_folder_that_cannot_be_written_is_said_once_and_nothing_else_suffers(
    store: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seed(store)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    async with following(store, state_dir=blocked) as followed:
        await loaded(followed)
        await eventually(lambda: "cannot be saved" in caplog.text, "it is said")
        store.cli("HSET gray:route:chat:weights v2 20")
        await weighs(followed, 20)
    assert caplog.text.count("cannot be saved") == 1


async def test_the_newest_table_is_saved(store: Server, tmp_path: Path) -> None:
    seed(store, f"SADD {WHITELIST} alice")
    keep = LastGood(tmp_path)

    def saved_weight() -> float | None:
        snapshot, _ = keep.load()
        return snapshot.routes["chat"].spec.weights["v2"] if snapshot and snapshot.routes else None

    async with following(store, state_dir=tmp_path) as followed:
        await loaded(followed)
        store.cli("HSET gray:route:chat:weights v2 27")
        await weighs(followed, 27)
        await eventually(lambda: saved_weight() == 27, "saved")
        snapshot, _ = keep.load()
        assert snapshot is not None
        assert snapshot.lists[V2].base == frozenset([b"alice"])


async def test_a_store_that_is_away_is_not_asked_again_by_every_caller() -> None:
    work = WorkLink(Redis(url=f"redis://127.0.0.1:{free_port()}/0", timeout_seconds=30.0))
    with pytest.raises(StoreUnavailable) as first:
        await work.get()
    for _ in range(100):
        with pytest.raises(StoreUnavailable) as again:
            await work.get()
        assert str(again.value) == str(first.value)
    await work.close()


# What people do by hand


async def test_a_version_taken_away_while_weights_name_it_is_refused_as_a_whole(
    store: Server,
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        store.cli("HDEL gray:route:chat:versions v2")
        await eventually(
            lambda: ("gray:route:chat:weights", "unknown_version") in reasons(followed), "refused"
        )
        assert "v2" in spec(followed).versions
        store.cli("HDEL gray:route:chat:weights v2")
        await eventually(lambda: "v2" not in spec(followed).versions, "now it is gone")
        assert V2 not in followed.snapshot.lists


async def test_a_version_that_comes_back_brings_its_list_and_no_edit_is_invented(
    store: Server,
) -> None:
    seed(store, f"SADD {WHITELIST} alice")
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await settled(followed)
        with store.client() as client, client.pipeline(transaction=True) as at_once:
            at_once.hdel("gray:route:chat:weights", "v2")
            at_once.hdel("gray:route:chat:versions", "v2")
            at_once.execute()
        await eventually(lambda: V2 not in followed.snapshot.lists, "v2 is gone")
        store.cli("HSET gray:route:chat:versions v2 http://127.0.0.1:9002")
        await eventually(lambda: V2 in followed.snapshot.lists, "v2 is back")
        await settled(followed)
        entries = await read_newest_entries(await followed.link(), followed.keys, "chat", 50)
        assert not any(entry.deltas for entry in entries)
        await followed.writer.revert("chat", 1, ME)
        await weighs(followed, 10)
        assert store.cli(f"SMEMBERS {WHITELIST}") == {"alice"}


async def test_a_renamed_list_is_emptied_and_the_edit_recorded(store: Server) -> None:
    seed(store, f"SADD {WHITELIST} alice bob")
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await settled(followed)
        store.cli(f"RENAME {WHITELIST} gray:route:chat:blacklist")
        await eventually(
            lambda: members(followed, "route/chat/blacklist") == {b"alice", b"bob"}, "blacklisted"
        )
        await eventually(lambda: not members(followed, V2), "the whitelist is empty")
        await settled(followed)
        await followed.writer.revert("chat", 1, ME)
        assert store.cli(f"SMEMBERS {WHITELIST}") == {"alice", "bob"}
        assert store.cli("EXISTS gray:route:chat:blacklist") == 0


async def test_a_list_that_expires_is_emptied_and_a_route_that_expires_is_kept(
    store: Server,
) -> None:
    seed(store, f"SADD {WHITELIST} alice")
    async with following(store) as followed:
        await loaded(followed)
        store.cli(f"PEXPIRE {WHITELIST} 1")
        await eventually(lambda: not members(followed, V2), "the whitelist is empty")
        store.cli("PEXPIRE gray:route:chat 1")
        await eventually(lambda: ("gray:route:chat", "missing") in reasons(followed), "refused")
        assert weight(followed) == 10


async def test_a_segment_serves_two_routes_and_outlives_one(store: Server) -> None:
    seed(
        store,
        f"RPUSH gray:route:chat:rules {BY_SEGMENT}",
        "SADD gray:routes rank",
        "HSET gray:route:rank stable v1",
        "HSET gray:route:rank:versions v1 http://127.0.0.1:9001 v2 http://127.0.0.1:9002",
        f"RPUSH gray:route:rank:rules {BY_SEGMENT}",
        "SADD gray:segment:beta bob",
    )
    async with following(store) as followed:
        await loaded(followed, "chat", "rank")
        await followed.writer.delete("chat", ME)
        await eventually(lambda: "chat" not in followed.snapshot.routes, "chat is gone")
        store.cli("SADD gray:segment:beta carol")
        await eventually(lambda: members(followed, BETA) == {b"bob", b"carol"}, "both")
        store.cli("DEL gray:route:rank:rules")
        await eventually(lambda: BETA not in followed.snapshot.lists, "nobody needs it")


async def test_a_route_may_have_a_hundred_versions(store: Server) -> None:
    words = " ".join(f"v{number} http://127.0.0.1:{9000 + number}" for number in range(3, 101))
    seed(store, f"HSET gray:route:chat:versions {words}", f"SADD {WHITELIST}0 alice")
    async with following(store) as followed:
        await loaded(followed)
        assert len(spec(followed).versions) == 100
        assert members(followed, f"{V2}0") == {b"alice"}
        store.cli("HSET gray:route:chat:versions v101 http://127.0.0.1:9101")
        await eventually(
            lambda: ("gray:route:chat:versions", "too_large") in reasons(followed), "refused"
        )
        assert len(spec(followed).versions) == 100


async def test_a_release_key_of_another_type_keeps_the_users_where_they_are(store: Server) -> None:
    seed(store, "HSET gray:route:chat:release id r1")
    async with following(store) as followed:
        await loaded(followed)
        store.cli("SET gray:route:chat:release garbage")
        await eventually(
            lambda: reasons(followed) == [("gray:route:chat:release", "wrong_type")], "refused"
        )
        assert spec(followed).salt == "chat:r1"
        with pytest.raises(RefusedError, match="gray:route:chat:release"):
            await followed.writer.change("chat", weights(v2="20"), ME)


@pytest.mark.parametrize("key", [WHITELIST, "gray:route:chat:history"])
async def test_a_write_that_cannot_be_done_whole_is_not_done_at_all(
    store: Server, key: str
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        store.cli(f"DEL {key}")
        store.cli(f"SET {key} garbage")
        lists = {V2: Delta(frozenset([b"alice"]))}
        with pytest.raises(RefusedError, match=f"{key}.*DEL {key}"):
            await followed.writer.change("chat", Change(weights(v2="20").edit, lists), ME)
        assert store.cli("HGET gray:route:chat:weights v2") == "10"


async def test_too_many_rules_are_mended_in_the_store_and_that_is_said(store: Server) -> None:
    seed(store)
    rule = '{"when": {"path": "/x"}, "version": "v2"}'
    async with following(store) as followed:
        await loaded(followed)
        store.execute("RPUSH", "gray:route:chat:rules", *[rule] * 201)
        with pytest.raises(RefusedError, match="gray:route:chat:rules: more than 200 rules"):
            await followed.writer.change("chat", weights(v2="20"), ME)


async def test_thousands_of_fields_typed_by_mistake_can_be_taken_away_in_one_change(
    store: Server,
) -> None:
    seed(store)
    async with following(store, timeout_seconds=10.0) as followed:
        await loaded(followed)
        with store.client() as client:
            client.hset("gray:route:chat", mapping={f"junk{n}": "x" for n in range(20_000)})
        await eventually(lambda: reasons(followed) == [("gray:route:chat", "too_large")], "said")
        await followed.writer.change(
            "chat",
            Change(lambda state: msgspec.structs.replace(state, route={"stable": "v1"})),
            ME,
        )
        assert store.cli("HGETALL gray:route:chat") == {"stable": "v1"}


async def test_our_own_edit_is_not_taken_for_one_by_hand_when_the_connection_breaks(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await settled(followed)
        read_cards = followed._lists._read_cards
        broken: list[object] = []

        async def breaks_once(link: object, names: list[str]) -> dict[str, int]:
            if names and not broken:
                broken.append(link)
                raise StoreUnavailable("cut")
            return await read_cards(link, names)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(followed._lists, "_read_cards", breaks_once)
        lists = {V2: Delta(frozenset([b"alice"]))}
        written = await followed.writer.change("chat", Change(lists=lists), ME)
        await eventually(lambda: members(followed, V2) == {b"alice"}, "alice is on the list")
        assert broken
        await never(lambda: revision(followed) > written.revision, "recorded again", 0.4)
        assert is_settled(followed)


async def test_bringing_back_a_revision_counts_with_an_edit_nobody_recorded_yet(
    store: Server,
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        first = await followed.writer.change("chat", weights(v2="20"), ME)
        store.cli("HSET gray:route:chat:weights v2 30")
        await followed.writer.revert("chat", first.revision, ME)
        assert store.cli("HGET gray:route:chat:weights v2") == "20"


async def test_numbers_no_machine_can_hold_are_refused_and_the_gateway_goes_on(
    store: Server,
) -> None:
    seed(store)
    nines = "9" * 400
    async with following(store) as followed:
        await loaded(followed)
        for command in (
            ["RPUSH", "gray:route:chat:rules", f'{{"when":{{}},"weights":{{"v2":{nines}}}}}'],
            ["HSET", "gray:route:chat:versions", "v2", f'{{"urls":"http://h","n":{nines}}}'],
            ["HSET", "gray:route:chat:versions", "v2", '{"n":' + "[" * 500 + "]" * 500 + "}"],
        ):
            store.execute(*command)
            await eventually(partial(is_refused, followed, command[1]), "refused")
        assert weight(followed) == 10
        store.cli("DEL gray:route:chat:rules")
        store.cli("HSET gray:route:chat:versions v2 http://127.0.0.1:9002")
        store.cli("HSET gray:route:chat:weights v2 15")
        await weighs(followed, 15)
