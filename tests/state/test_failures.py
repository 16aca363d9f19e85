"""What the store may do to us, and what must not happen then: the checks K-01 to K-11."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from gateway.config.secret import Secret
from gateway.errors import StoreError, StoreReadOnly, StoreUnavailable
from gateway.routing.decide import decide
from gateway.routing.facts import RequestFacts
from gateway.routing.table import Identity, compile_route
from gateway.state.history import Delta
from gateway.state.lastgood import LastGood
from gateway.state.reader import read_routes
from gateway.state.store import Store
from gateway.state.write import Change
from tests.server_sets import ClusterSet, SentinelSet
from tests.servers import Server, Valkey, redis_binary
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
    weight,
)
from tests.state.test_write import weights

V2 = "route/chat/whitelist/v2"


def decided(store: Store, user: bytes) -> str:
    """Where a request of this user goes by the table in force."""
    snapshot = store.snapshot
    lists = {name: held.container for name, held in snapshot.lists.items()}
    route = compile_route(snapshot.routes["chat"].spec, lists, Identity())
    facts = RequestFacts("GET", b"", b"/", b"", {b"x-user-id": user}, "127.0.0.1", True)
    return decide(route, facts, now=0.0, draw=lambda: 0.5).version


def _is_refused(store: Store, key: str, reason: str) -> bool:
    return (key, reason) in reasons(store)


def _error_of(store: Store) -> str:
    return store.status.error


async def refuses_to_write(store: Store) -> StoreError:
    """The error of an attempt to write; the attempt must end by itself."""
    try:
        async with asyncio.timeout(5):
            await store.writer.change("chat", weights(v2="99"), ME)
    except StoreError as error:
        return error
    raise AssertionError("the write went through")


async def test_K01_a_killed_store_changes_no_decision_and_writes_say_so(
    fresh_valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    seed(fresh_valkey, "SADD gray:route:chat:whitelist:v2 alice")
    async with following(fresh_valkey) as store:
        await loaded(store)
        before = [decided(store, b"user-%d" % n) for n in range(200)]
        fresh_valkey.kill()
        await eventually(lambda: not store.status.is_connected, "the loss is noticed", 5)
        caplog.clear()
        for _ in range(3):
            error = await refuses_to_write(store)
            assert (error.status, error.code) == (503, "store_unavailable")
        await never(lambda: not store.snapshot.routes, "routes lost", 1.0)
        assert [decided(store, b"user-%d" % n) for n in range(200)] == before
        assert decided(store, b"alice") == "v2"
        assert len(caplog.records) <= 3
        assert store.status.error
        fresh_valkey.start()
        await eventually(lambda: store.status.is_connected, "the store is back")
        fresh_valkey.cli("HSET gray:route:chat:weights v2 50")
        await eventually(lambda: weight(store) == 50, "changes arrive again")


async def test_K02_a_frozen_store_is_noticed_though_its_connection_stays_open(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey, timeout_seconds=0.3) as store:
        await loaded(store)
        fresh_valkey.freeze()
        try:
            await eventually(lambda: not store.status.is_connected, "the silence is noticed", 5)
            error = await refuses_to_write(store)
            assert error.code == "store_unavailable"
            assert weight(store) == 10
        finally:
            fresh_valkey.thaw()
        await eventually(lambda: store.status.is_connected, "the store is back")
        fresh_valkey.cli("HSET gray:route:chat:weights v2 51")
        await eventually(lambda: weight(store) == 51, "changes arrive again")


@pytest.mark.parametrize("how", ["FLUSHALL", "FLUSHDB", "restart"])
async def test_K03_an_emptied_store_deletes_nothing(how: str) -> None:
    with Valkey() as server:
        seed(server, "SADD gray:route:chat:whitelist:v2 alice", "SADD gray:routes rank")
        server.cli("HSET gray:route:rank stable a")
        server.cli("HSET gray:route:rank:versions a http://127.0.0.1:9005")
        rule = '{"when": {"segment": "beta"}, "version": "a"}'
        server.cli(f"RPUSH gray:route:rank:rules '{rule}'")
        server.cli("SADD gray:segment:beta bob")
        async with following(server) as store:
            await loaded(store, "chat", "rank")
            await leading(store)
            await eventually(lambda: store.snapshot.routes["chat"].revision == 1, "recorded")
            if how == "restart":
                server.restart()
            else:
                server.cli(how)
            await eventually(
                lambda: reasons(store) == [("gray:routes", "emptied")] * 2, "it is said, twice"
            )
            assert {"chat", "rank"} == set(store.snapshot.routes)
            assert weight(store) == 10
            assert members(store, V2) == {b"alice"}
            assert members(store, "segment/beta") == {b"bob"}
            assert "graygate repopulate" in store.snapshot.refused[0].text

            done = await store.repopulate(ME)
            assert set(done) == {"chat", "rank"}
            await eventually(lambda: not store.snapshot.refused, "nothing is lost any more")
            assert server.cli("SMEMBERS gray:routes") == {"chat", "rank"}
            assert server.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
            assert server.cli("SMEMBERS gray:route:chat:whitelist:v2") == {"alice"}
            assert server.cli("SMEMBERS gray:segment:beta") == {"bob"}
            server.cli("HSET gray:route:chat:weights v2 12")
            await eventually(lambda: weight(store) == 12, "changes arrive again")


async def test_K03_routes_that_come_back_one_by_one_do_not_drop_the_others(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey, "SADD gray:routes rank")
    fresh_valkey.cli("HSET gray:route:rank stable a")
    fresh_valkey.cli("HSET gray:route:rank:versions a http://127.0.0.1:9005")
    async with following(fresh_valkey) as store:
        await loaded(store, "chat", "rank")
        fresh_valkey.cli("FLUSHALL")
        for line in CHAT:
            fresh_valkey.cli(line)
        await eventually(
            lambda: reasons(store) == [("gray:routes", "emptied")], "only rank is missing"
        )
        assert set(store.snapshot.routes) == {"chat", "rank"}


async def test_K03_deleting_the_names_of_all_routes_by_mistake_deletes_no_route(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey) as store:
        await loaded(store)
        fresh_valkey.cli("DEL gray:routes")
        await eventually(lambda: reasons(store) == [("gray:routes", "emptied")], "it is said")
        assert weight(store) == 10
        assert "SADD gray:routes chat" in store.snapshot.refused[0].text
        fresh_valkey.cli("SADD gray:routes chat")
        await eventually(lambda: not store.snapshot.refused, "all is well")


async def test_K04_ten_megabytes_in_a_value_are_refused_and_the_next_good_update_applies(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey, timeout_seconds=2.0) as store:
        await loaded(store)
        for key, words in (
            ("gray:route:chat:weights", ["HSET", "gray:route:chat:weights", "v2"]),
            ("gray:route:chat:rules", ["RPUSH", "gray:route:chat:rules"]),
        ):
            fresh_valkey.execute(*words, b"x" * 10_000_000)
            await eventually(partial(_is_refused, store, key, "too_large"), f"{key} is refused")
            assert weight(store) == 10
        fresh_valkey.cli("DEL gray:route:chat:rules")
        fresh_valkey.cli("HSET gray:route:chat:weights v2 13")
        await eventually(lambda: weight(store) == 13, "the next good update applies")


async def test_K05_without_a_store_the_saved_table_is_in_force_at_once(tmp_path: Path) -> None:
    with Valkey() as server:
        seed(server, "SADD gray:route:chat:whitelist:v2 alice")
        async with following(server, state_dir=tmp_path) as store:
            await loaded(store)
            await eventually(lambda: LastGood(tmp_path).load()[0], "the table is saved")
    async with following(server, state_dir=tmp_path) as store:
        assert store.status.is_from_disk
        assert weight(store) == 10
        assert members(store, V2) == {b"alice"}
        seen: list[int] = []
        store.subscribe(lambda snapshot: seen.append(snapshot.sequence))
        assert seen == [1]
        await eventually(lambda: store.status.error, "the store is missed")


async def test_K05_without_a_store_and_without_a_saved_table_nothing_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Valkey() as server:
        pass
    for content in (None, b"", b'{"graygate"', b"garbage\nmore"):
        if content is not None:
            (tmp_path / "table.json").write_bytes(content)
        caplog.clear()
        async with following(server, state_dir=tmp_path) as store:
            await eventually(partial(_error_of, store), "the store is missed")
            assert not store.status.is_loaded
            assert not store.snapshot.routes
            said = [r for r in caplog.records if r.getMessage().startswith("The last good")]
            assert bool(said) == (content is not None)


async def test_K06_a_gateway_killed_while_saving_leaves_the_old_table_or_the_new_one(
    tmp_path: Path,
) -> None:
    program = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from tests.state.test_lastgood import snapshot_of\n"
        "from gateway.state.lastgood import LastGood\n"
        "keep = LastGood(Path(sys.argv[1]))\n"
        "for number in itertools.count():\n"
        "    keep.save(snapshot_of(number))\n"
        "    print(number, flush=True)\n"
    )
    for _ in range(12):
        writer = subprocess.Popen(  # noqa: ASYNC220  # the loop has nothing else to do
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        last = max([last, *(int(line) for line in writer.stdout if line.strip())])
        writer.stdout.close()
        writer.wait()
        snapshot, problem = LastGood(tmp_path).load()
        assert snapshot is not None, problem
        assert snapshot.routes["chat"].revision in (last, last + 1)
        assert (tmp_path / "table.json").stat().st_mode & 0o777 == 0o600


async def test_K07_what_changed_while_the_connection_was_lost_is_found(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey) as store:
        await loaded(store)
        for percent in range(20, 30):
            with fresh_valkey.client() as client, client.pipeline(transaction=True) as both:
                both.client_kill_filter(_type="normal", skipme=True)
                both.hset("gray:route:chat:weights", "v2", str(percent))
                both.execute()
            await weighs(store, percent)
        assert store.status.reconnects >= 1


async def test_K08_a_store_that_went_back_in_time_is_not_believed_silently(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey) as store:
        await loaded(store)
        await leading(store)
        await store.writer.change("chat", weights(v2="20"), ME)
        with fresh_valkey.client(decode_responses=False) as client:
            dumps = {key: client.dump(key) for key in client.keys("gray:route:chat*")}
            held = (await store.writer.change("chat", weights(v2="40"), ME)).revision
            await eventually(lambda: weight(store) == 40, "40 is in force")
            with client.pipeline(transaction=True) as all_at_once:
                for key, dump in dumps.items():
                    all_at_once.restore(key, 0, dump or b"", replace=True)
                all_at_once.execute()
        key = "gray:route:chat:history"
        await eventually(lambda: (key, "stale_store") in reasons(store), "it is said")
        assert weight(store) == 40
        assert store.snapshot.routes["chat"].revision == held
        await never(lambda: weight(store) != 40, "the stale weight", 0.5)
        await store.writer.change("chat", weights(v2="30"), ME)
        await eventually(lambda: weight(store) == 30, "a new write counts")
        assert not store.snapshot.refused


async def test_K09_a_store_that_takes_no_writes_is_said_and_reading_goes_on(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey, timeout_seconds=0.3) as store:
        await loaded(store)
        await store.writer.change("chat", weights(v2="20"), ME)
        fresh_valkey.cli("CONFIG SET min-replicas-to-write 1")
        error = await refuses_to_write(store)
        assert error.status == 503
        fresh_valkey.cli("CONFIG SET min-replicas-to-write 0")
        fresh_valkey.cli("CONFIG SET maxmemory 1")
        assert isinstance(await refuses_to_write(store), StoreReadOnly)
        fresh_valkey.cli("CONFIG SET maxmemory 0")
        with Valkey() as master:
            fresh_valkey.cli(f"REPLICAOF 127.0.0.1 {master.port}")
            assert (await refuses_to_write(store)).status == 503
            assert set(store.snapshot.routes) == {"chat"}
            fresh_valkey.cli("REPLICAOF NO ONE")
        assert set(store.snapshot.routes) == {"chat"}


async def test_K09_a_master_that_became_a_replica_is_left_however_often_is_looked(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey, poll_seconds=0.05, heartbeat_seconds=0.2) as store:
        await loaded(store)
        with Valkey() as master:
            fresh_valkey.cli(f"REPLICAOF 127.0.0.1 {master.port}")
            await eventually(lambda: "became a" in store.status.error, "it is left")
            assert set(store.snapshot.routes) == {"chat"}
            fresh_valkey.cli("REPLICAOF NO ONE")


async def test_K09_a_paused_store_fails_writes_in_time(fresh_valkey: Server) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey, timeout_seconds=0.3) as store:
        await loaded(store)
        fresh_valkey.cli("CLIENT PAUSE 1500 ALL")
        assert isinstance(await refuses_to_write(store), StoreUnavailable)
        await eventually(lambda: not store.status.is_connected, "the pause is noticed")
        assert weight(store) == 10
        await eventually(lambda: store.status.is_connected, "the store is back")
        fresh_valkey.cli("HSET gray:route:chat:weights v2 61")
        await eventually(lambda: weight(store) == 61, "changes arrive again")


async def test_K09_a_lost_right_is_named_and_the_table_stays(fresh_valkey: Server) -> None:
    fresh_valkey.cli("ACL SETUSER gw on >canary-secret ~gray:* &* +@all")
    seed(fresh_valkey)
    secret = Secret("canary-secret")
    async with following(fresh_valkey, username="gw", password=secret) as store:
        await loaded(store)
        fresh_valkey.cli("ACL SETUSER gw -hgetall")
        await eventually(lambda: "hgetall" in store.status.error, "the missing right is named")
        assert weight(store) == 10
        fresh_valkey.cli("ACL SETUSER gw +hgetall")
        fresh_valkey.cli("ACL SETUSER gw resetpass >another-secret")
        fresh_valkey.cli("CLIENT KILL TYPE normal")
        await eventually(lambda: "password" in store.status.error, "the password is refused")
        assert "canary" not in store.status.error
        assert weight(store) == 10


async def test_A19_a_user_with_only_the_listed_rights_can_follow_and_write(
    fresh_valkey: Server,
) -> None:
    fresh_valkey.cli(
        "ACL SETUSER gw on >secret resetchannels ~gray:* +hello +ping +role +client|setname "
        "+client|tracking +multi +exec +hgetall +hget +lrange +smembers +scard +sscan +srandmember "
        "+xrange +xrevrange +xinfo +type +time +get +set +sadd +srem +hset +hdel +del +rpush +xadd "
        "+eval +evalsha"
    )
    seed(fresh_valkey)
    async with following(fresh_valkey, username="gw", password=Secret("secret")) as store:
        await loaded(store)
        await leading(store)
        delta = Delta(frozenset([b"alice"]))
        written = await store.writer.change("chat", Change(lists={V2: delta}), ME)
        await eventually(lambda: members(store, V2) == {b"alice"}, "alice is on the list")
        await store.writer.revert("chat", written.revision - 1, ME)
        await eventually(lambda: members(store, V2) == set(), "alice is off the list")
        assert not store.status.error


async def test_a_reader_without_the_right_to_write_follows_and_records_nothing(
    fresh_valkey: Server,
) -> None:
    fresh_valkey.cli("ACL SETUSER gw on >secret ~gray:* +@read +@connection +@transaction +role")
    seed(fresh_valkey)
    async with following(fresh_valkey, username="gw", password=Secret("secret")) as store:
        await loaded(store)
        fresh_valkey.cli("HSET gray:route:chat:weights v2 20")
        await eventually(lambda: weight(store) == 20, "reading works")
        assert not store.leader.term
        assert (await refuses_to_write(store)).code == "store_denied"
        assert fresh_valkey.cli("EXISTS gray:route:chat:history gray:leader") == 0


@pytest.mark.slow
async def test_K11_a_flapping_store_costs_two_connections_and_leaks_nothing(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey) as store:
        await loaded(store)
        tasks = len(asyncio.all_tasks())
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for percent in range(20, 26):
            fresh_valkey.kill()
            await eventually(lambda: not store.status.is_connected, "the loss is noticed")
            with suppress(StoreError):
                await store.writer.change("chat", weights(v2="1"), ME)
            await asyncio.to_thread(fresh_valkey.start)
            await eventually(lambda: store.status.is_connected, "the store is back")
            fresh_valkey.cli(f"HSET gray:route:chat:weights v2 {percent}")
            await weighs(store, percent)
            with fresh_valkey.client() as client:
                ours = [one for one in client.client_list() if one["name"] == "graygate"]
            assert len(ours) <= 2
        assert len(asyncio.all_tasks()) <= tasks
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2  # noqa: PTH208


@pytest.mark.debian
@pytest.mark.slow
async def test_a_failover_of_sentinels_is_followed() -> None:
    with SentinelSet(redis_binary()) as servers:
        seed(servers.master)
        async with following(servers.master, url=servers.url) as store:
            await loaded(store)
            old = servers.master
            old.kill()
            await eventually(lambda: not store.status.is_connected, "the loss is noticed", 15)
            assert weight(store) == 10
            await eventually(lambda: store.status.is_connected, "the new master is found", 30)
            servers.master.cli("HSET gray:route:chat:weights v2 55")
            await eventually(lambda: weight(store) == 55, "the new master is followed", 20)


@pytest.mark.debian
@pytest.mark.slow
async def test_a_cluster_is_followed_and_written_through_the_owner_of_our_slot() -> None:
    with ClusterSet(redis_binary()) as cluster:
        owner = cluster.owner("{gray}:routes")
        for line in CHAT:
            owner.cli(line.replace("gray:", "{gray}:"))
        for node in cluster.nodes:
            async with following(node, prefix="{gray}:") as store:
                await loaded(store)
                await leading(store)
                owner.cli("HSET {gray}:route:chat:weights v2 21")
                await weighs(store, 21)
                await store.writer.change("chat", weights(v2="22"), ME)
                await weighs(store, 22)
        async with following(owner) as store:
            await eventually(lambda: "{gray}:" in store.status.error, "the prefix is explained")


async def test_the_revision_is_the_same_for_everybody_who_asks(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        written = await followed.writer.change("chat", weights(v2="20"), ME)
        raw = (await read_routes(await followed.link(), followed.keys, ["chat"]))["chat"]
        assert raw.revision == written.revision
