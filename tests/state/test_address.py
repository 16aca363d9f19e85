"""From the settings to the server that holds our keys, through failover and moved slots."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.secret import Secret
from gateway.config.settings import Redis as Settings
from gateway.errors import SettingsError, StoreDenied, StoreError, StoreUnavailable
from gateway.state.address import open_link, tls_context
from gateway.state.link import Link
from gateway.state.url import key_slot
from tests.server_sets import ClusterSet, SentinelSet
from tests.servers import HOST, Server, Valkey, free_port, valkey_binary
from tests.state.fake_store import Guest, fake_store
from tests.tls import Authority, TlsRedis

TAGGED = "{gray}:"


async def refusal(settings: Settings) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await open_link(settings)
    return caught.value


def port_of(link: Link) -> int:
    return link.address.port


class TestPlain:
    async def test_host_and_database_come_from_the_url(self, any_server: Server) -> None:
        async with await open_link(Settings(url=f"redis://{HOST}:{any_server.port}/2")) as link:
            await link.call("SET", "gray:x", "1")
        assert any_server.cli("GET gray:x", db=2) == "1"

    async def test_user_password_and_socket_come_from_the_settings(self) -> None:
        with Valkey(unixsocket=True, acl=["user gw on >s3cr3t +@all ~*"]) as server:
            secret = Secret("s3cr3t")
            settings = Settings(url=server.unix_url, username="gw", password=secret)
            async with await open_link(settings) as link:
                assert await link.call("ACL", "WHOAMI") == b"gw"

    async def test_pushes_reach_whoever_asked_for_them(self, store: Server) -> None:
        pushed: asyncio.Queue[object] = asyncio.Queue()
        async with await open_link(
            Settings(url=store.url), lambda kind, keys: pushed.put_nowait((kind, keys))
        ) as link:
            await link.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "gray:")
            store.cli("SET gray:x 1")
            assert await asyncio.wait_for(pushed.get(), 5) == (b"invalidate", [b"gray:x"])

    async def test_a_replica_on_purpose_is_allowed_and_told(self, fresh_valkey: Server) -> None:
        fresh_valkey.cli(f"REPLICAOF {HOST} {free_port()}")
        async with await open_link(Settings(url=fresh_valkey.url)) as link:
            assert link.role == "replica"

    async def test_the_deadline_comes_from_the_settings(self, fresh_valkey: Server) -> None:
        fresh_valkey.freeze()
        error = await refusal(Settings(url=fresh_valkey.url, timeout_seconds=0.15))
        assert "within 0.15 s" in str(error)

    async def test_a_url_that_cannot_be_read_is_an_error_of_the_settings(self) -> None:
        with pytest.raises(SettingsError, match=r"redis\.url"):
            await open_link(Settings(url="nonsense"))


class TestTls:
    @pytest.mark.debian
    async def test_files_come_from_the_settings(self, authority: Authority) -> None:
        certificate, key = authority.issue("client")
        with TlsRedis(authority, wants_client=True) as server:
            settings = Settings(
                url=server.url, tls_ca=authority.ca, tls_cert=certificate, tls_key=key
            )
            async with await open_link(settings) as link:
                assert await link.call("PING") == b"PONG"

    async def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        error = await refusal(Settings(url="rediss://h", tls_ca=str(tmp_path / "none.pem")))
        assert "redis.tls_ca cannot be used (No such file or directory)" in str(error)

    async def test_a_file_that_is_no_certificate_is_told(self, tmp_path: Path) -> None:
        file = tmp_path / "bad.pem"
        file.write_text("bad")
        for settings, name in (
            (Settings(tls_ca=str(file)), "redis.tls_ca"),
            (Settings(tls_cert=str(file)), "redis.tls_cert and redis.tls_key"),
        ):
            with pytest.raises(StoreUnavailable, match=f"{name} cannot be used"):
                tls_context(settings)

    def test_verification_cannot_be_switched_off(self) -> None:
        context = tls_context(Settings())
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


@pytest.fixture(scope="module")
def sentinels() -> Iterator[SentinelSet]:
    with SentinelSet(valkey_binary(), password="s3cr3t", sentinel_password="watch") as servers:
        yield servers


def behind(sentinels: SentinelSet, url: str = "") -> Settings:
    return Settings(
        url=url or sentinels.url,
        password=Secret("s3cr3t"),
        sentinel_password=Secret("watch"),
        timeout_seconds=0.5,
    )


class TestSentinels:
    async def test_the_master_is_found(self, sentinels: SentinelSet) -> None:
        async with await open_link(behind(sentinels)) as link:
            assert (link.role, port_of(link)) == ("master", sentinels.master.port)
            await link.call("SET", "gray:x", "1")

    async def test_a_dead_and_a_frozen_sentinel_are_passed_over(
        self, sentinels: SentinelSet
    ) -> None:
        frozen, _, alive = sentinels.sentinels
        hosts = f"{HOST}:{free_port()},{HOST}:{frozen.port},{HOST}:{alive.port}"
        frozen.freeze()
        try:
            url = f"redis+sentinel://{hosts}/{sentinels.name}"
            async with await open_link(behind(sentinels, url)) as link:
                assert link.role == "master"
        finally:
            frozen.thaw()

    async def test_a_name_that_no_sentinel_knows(self, sentinels: SentinelSet) -> None:
        url = sentinels.url.replace("/gray/", "/grey/")
        error = await refusal(behind(sentinels, url))
        assert "knows no master called 'grey'" in str(error)

    async def test_a_wrong_password_of_all_sentinels_is_a_denial(
        self, sentinels: SentinelSet
    ) -> None:
        settings = Settings(url=sentinels.url, password=Secret("s3cr3t"))
        assert isinstance(await refusal(settings), StoreDenied)

    async def test_no_sentinel_at_all(self) -> None:
        url = f"redis+sentinel://{HOST}:{free_port()},{HOST}:{free_port()}/gray"
        error = await refusal(Settings(url=url))
        assert isinstance(error, StoreUnavailable)
        assert str(error).count("Connection refused") == 2

    async def test_a_store_where_a_sentinel_should_be(self, store: Server) -> None:
        error = await refusal(Settings(url=f"redis+sentinel://{HOST}:{store.port}/gray"))
        assert "no Sentinel leads to the master" in str(error)

    async def test_a_sentinel_where_a_store_should_be(self, sentinels: SentinelSet) -> None:
        url = f"redis://{HOST}:{sentinels.sentinels[0].port}"
        error = await refusal(Settings(url=url, password=Secret("watch")))
        assert "is a Sentinel; use redis+sentinel://" in str(error)

    async def test_a_server_that_is_named_but_is_no_master_is_refused(
        self, fresh_valkey: Server
    ) -> None:
        fresh_valkey.cli(f"REPLICAOF {HOST} {free_port()}")
        named = f"*2\r\n$9\r\n{HOST}\r\n$5\r\n{fresh_valkey.port:05}\r\n".encode()

        async def sentinel(guest: Guest) -> None:
            await guest.welcome()
            await guest.hear()
            await guest.say(named)
            await guest.until_gone()

        async with fake_store(sentinel) as address:
            error = await refusal(Settings(url=f"redis+sentinel://{address}/gray"))
            assert "is no master but a replica" in str(error)

    @pytest.mark.slow
    async def test_after_a_failover_the_new_master_is_found(self) -> None:
        with SentinelSet(valkey_binary()) as servers:
            settings = Settings(url=servers.url, timeout_seconds=0.5)
            old = servers.master
            async with await open_link(settings) as link:
                old.kill()
                await asyncio.wait_for(link.wait_closed(), 5)
            async with await eventually_open(settings) as link:
                assert link.role == "master"
                assert port_of(link) not in (0, old.port)
                await link.call("SET", "gray:x", "1")


async def eventually_open(settings: Settings, seconds: float = 30) -> Link:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await open_link(settings)
        except StoreUnavailable:
            assert time.monotonic() < deadline, "no link in time"
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterSet]:
    with ClusterSet(valkey_binary()) as servers:
        yield servers


class TestCluster:
    async def test_the_owner_of_our_slot_is_found_from_any_node(self, cluster: ClusterSet) -> None:
        owner = cluster.owner(f"{TAGGED}routes")
        for node in cluster.nodes:
            async with await open_link(Settings(url=node.url, prefix=TAGGED)) as link:
                assert (port_of(link), link.mode, link.role) == (owner.port, "cluster", "master")
                replies = await link.transaction(
                    [("SADD", f"{TAGGED}routes", "chat"), ("GET", f"{TAGGED}x")]
                )
                assert len(replies) == 2

    async def test_a_prefix_without_a_hash_tag_is_refused_with_advice(
        self, cluster: ClusterSet
    ) -> None:
        for node in cluster.nodes:
            error = await refusal(Settings(url=node.url))
            assert "set redis.prefix to {gray}:" in str(error)

    async def test_a_slot_that_moves_ends_the_link_and_is_followed(
        self, cluster: ClusterSet
    ) -> None:
        prefix = "{moving}:"
        settings = Settings(url=cluster.nodes[0].url, prefix=prefix)
        old = cluster.owner(f"{prefix}routes")
        new = next(node for node in cluster.nodes if node is not old)
        async with await open_link(settings) as link:
            cluster.move_empty_slot(key_slot(prefix), new)
            with pytest.raises(StoreUnavailable, match=f"served by {HOST}:{new.port}"):
                await link.call("SCARD", f"{prefix}routes")
            assert link.is_closed
        async with await open_link(settings) as link:
            assert port_of(link) == new.port

    async def test_the_wrong_type_of_key_does_not_hide_the_owner(self, cluster: ClusterSet) -> None:
        owner = cluster.owner("{typed}:routes")
        owner.cli("SET {typed}:routes text")
        async with await open_link(Settings(url=owner.url, prefix="{typed}:")) as link:
            assert port_of(link) == owner.port

    async def test_nodes_that_send_us_round_in_circles_are_given_up(self) -> None:
        async def node(guest: Guest) -> None:
            assert (await guest.hear())[0] == b"HELLO"
            await guest.say(b"-ERR unknown command 'HELLO'\r\n")
            await guest.hear()
            await guest.hear()
            await guest.say(b"+OK\r\n-ERR unknown command 'ROLE'\r\n")
            await guest.hear()
            await guest.say(f"-MOVED 1 :{address.port}\r\n".encode())
            await guest.until_gone()

        async with fake_store(node) as address:
            error = await refusal(Settings(url=f"redis://{address}", prefix=TAGGED))
            assert "from node to node" in str(error)
