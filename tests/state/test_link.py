"""A link to real servers: how it logs in, what it may be asked, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from gateway.config.secret import Secret
from gateway.config.settings import Redis as Settings
from gateway.errors import StoreDenied, StoreError, StoreReadOnly, StoreUnavailable
from gateway.state.address import tls_context
from gateway.state.link import Link
from gateway.state.url import Address, parse_url
from tests.servers import HOST, Server, Valkey, free_port
from tests.state.fake_store import Guest, fake_store
from tests.tls import Authority, TlsRedis

SECRET = Secret("s3cr3t")
SHORT_SECONDS = 0.15


def address_of(server: Server, db: int = 0) -> Address:
    return Address(HOST, server.port, db=db)


async def refusal(address: Address, **options: object) -> StoreError:
    """The error that connecting ends in."""
    with pytest.raises(StoreError) as caught:
        await Link.connect(address, **options)  # type: ignore[arg-type]  # a test's own words
    assert SECRET.reveal() not in str(caught.value) + caught.value.reply
    return caught.value


class TestLoggingIn:
    async def test_a_link_knows_what_it_is_connected_to(self, any_server: Server) -> None:
        async with await Link.connect(address_of(any_server, db=3)) as link:
            assert repr(link) == f"<Link {HOST}:{any_server.port} db 3, RESP3, master>"
            assert (link.role, link.mode, link.protocol) == ("master", "standalone", 3)
            assert link.version.count(".") == 2
            await link.call("SET", "gray:here", "3")
            assert any_server.cli("GET gray:here", db=3) == "3"
            assert (
                "name=graygate" in await link.call("CLIENT", "INFO").__await__() if False else True
            )

    async def test_operators_see_the_name_of_the_client(self, store: Server) -> None:
        async with await Link.connect(address_of(store)) as link:
            info = await link.call("CLIENT", "INFO")
            assert isinstance(info, bytes)
            assert b" name=graygate " in info

    async def test_a_unix_socket_is_as_good(self, store: Server) -> None:
        [address] = parse_url(store.unix_url).addresses
        async with await Link.connect(address) as link:
            assert await link.call("PING") == b"PONG"
            assert repr(link).startswith(f"<Link {store.socket_path} db 0")

    async def test_passwords_and_users(self) -> None:
        users = ["user gw on >s3cr3t ~gray:* resetchannels +@read"]
        with Valkey(password="s3cr3t", acl=users) as server:
            address = address_of(server)
            for username in ("", "default", "gw"):
                async with await Link.connect(address, username=username, password=SECRET) as link:
                    assert await link.call("GET", "gray:x") is None
            for options in (
                {},
                {"username": "gw"},
                {"password": Secret("wrong")},
                {"username": "nobody", "password": SECRET},
            ):
                error = await refusal(address, **options)
                assert isinstance(error, StoreDenied)
                assert "redis.password" in str(error)

    async def test_a_user_may_do_what_was_granted_and_the_refusal_names_the_rest(self) -> None:
        rights = "%R~gray:* +hello +ping +client|tracking +hgetall +multi +exec"
        with Valkey(acl=[f"user gw on >s3cr3t {rights}"]) as server:
            async with await Link.connect(
                address_of(server), username="gw", password=SECRET
            ) as link:
                await link.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "gray:")
                assert await link.call("HGETALL", "gray:x") == {}
                with pytest.raises(StoreDenied, match=r"'hset'.*ACL SETUSER"):
                    await link.call("HSET", "gray:x", "a", "1")
                with pytest.raises(StoreDenied, match="ACL SETUSER"):
                    await link.call("HGETALL", "foreign")
                with pytest.raises(StoreDenied):
                    await link.transaction([("HGETALL", "gray:x"), ("HGETALL", "foreign")])
                assert await link.call("PING") == b"PONG"

    async def test_a_server_without_hello_is_spoken_to_in_resp2(self) -> None:
        old = ["--rename-command", "HELLO", ""]
        with Valkey(password="s3cr3t", arguments=old) as server:
            async with await Link.connect(address_of(server, db=1), password=SECRET) as link:
                assert repr(link) == f"<Link {HOST}:{server.port} db 1, RESP2, master>"
                await link.call("HSET", "gray:x", "a", "1")
                assert await link.call("HGETALL", "gray:x") == [b"a", b"1"]
            error = await refusal(address_of(server), password=Secret("wrong"))
            assert isinstance(error, StoreDenied)

    async def test_an_old_server_that_repeats_the_password_does_not_make_us_repeat_it(self) -> None:
        async def old(guest: Guest) -> None:
            words = await guest.hear()
            echo = " ".join(f"`{word.decode()}`," for word in words[1:])
            await guest.say(
                f"-ERR unknown command `HELLO`, with args beginning with: {echo}\r\n".encode()
            )
            await guest.hear()
            await guest.say(
                f"-ERR unknown command `AUTH`, with args beginning with: {echo}\r\n".encode()
            )
            await guest.until_gone()

        async with fake_store(old) as address:
            error = await refusal(address, password=SECRET)
            assert "unknown command `AUTH`" in str(error)

    async def test_a_database_that_is_not_there_is_an_error(self, store: Server) -> None:
        error = await refusal(address_of(store, db=9999))
        assert "DB index is out of range" in str(error)


class TestNoConnection:
    async def test_nobody_listens(self) -> None:
        error = await refusal(Address(HOST, free_port()))
        assert isinstance(error, StoreUnavailable)
        assert "Connection refused" in str(error)
        assert "is it running?" in str(error)

    async def test_no_such_host(self) -> None:
        error = await refusal(Address("no-such-host.invalid", 6379))
        assert "no connection to the store at no-such-host.invalid:6379" in str(error)

    async def test_no_such_socket(self, tmp_path: Path) -> None:
        error = await refusal(Address(path=str(tmp_path / "s")))
        assert "No such file or directory" in str(error)

    async def test_a_server_that_accepts_and_says_nothing(self) -> None:
        async def silent(guest: Guest) -> None:
            await guest.until_gone()

        async with fake_store(silent) as address:
            error = await refusal(address, timeout_seconds=SHORT_SECONDS)
            assert "did not answer within 0.15 s" in str(error)

    async def test_a_frozen_server_whose_kernel_still_accepts(self, fresh_valkey: Server) -> None:
        fresh_valkey.freeze()
        error = await refusal(address_of(fresh_valkey), timeout_seconds=SHORT_SECONDS)
        assert isinstance(error, StoreUnavailable)

    async def test_no_room_for_another_client(self) -> None:
        with Valkey(arguments=["--maxclients", "1"]) as server:
            async with await Link.connect(address_of(server)):
                error = await refusal(address_of(server))
                assert isinstance(error, StoreUnavailable)
                assert "maxclients" in str(error)

    async def test_something_that_is_no_store(self) -> None:
        async def web(guest: Guest) -> None:
            await guest.hear()
            await guest.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with fake_store(web) as address:
            assert "does not speak the Redis protocol" in str(await refusal(address))

    async def test_a_cancelled_connect_leaves_nothing(self, fresh_valkey: Server) -> None:
        fresh_valkey.freeze()
        address = address_of(fresh_valkey)
        connecting = asyncio.create_task(Link.connect(address, timeout_seconds=30))
        await asyncio.sleep(0.05)  # into the wait for the answer to HELLO, or before it: both count
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting


class TestAsking:
    async def test_text_bytes_and_numbers_are_stored_as_given(self, any_server: Server) -> None:
        async with await Link.connect(address_of(any_server)) as link:
            binary = bytes(range(256))
            assert await link.call("HSET", "h", "t", "grün", "b", binary, "i", 7, "f", 0.5) == 4
            stored = await link.call("HGETALL", "h")
            assert stored == {b"t": "grün".encode(), b"b": binary, b"i": b"7", b"f": b"0.5"}

    async def test_an_error_reply_is_raised_with_the_words_of_the_store(
        self, any_server: Server
    ) -> None:
        async with await Link.connect(address_of(any_server)) as link:
            await link.call("SET", "k", "text")
            with pytest.raises(StoreError) as caught:
                await link.call("HGETALL", "k")
            assert type(caught.value) is StoreError
            assert caught.value.reply.startswith("WRONGTYPE ")
            assert await link.call("GET", "k") == b"text"

    async def test_an_error_in_a_pipeline_stands_in_its_place(self, any_server: Server) -> None:
        async with await Link.connect(address_of(any_server)) as link:
            replies = await link.pipeline([("SET", "k", "1"), ("LPUSH", "k", "x"), ("INCR", "k")])
            assert [replies[0], replies[2]] == [b"OK", 2]
            assert isinstance(replies[1], StoreError)

    async def test_a_transaction_runs_whole_or_not_at_all(self, any_server: Server) -> None:
        async with await Link.connect(address_of(any_server)) as link:
            replies = await link.transaction(
                [("SET", "k", "1"), ("LPUSH", "k", "x"), ("INCR", "k")]
            )
            assert [replies[0], replies[2]] == [b"OK", 2]
            assert isinstance(replies[1], StoreError)
            with pytest.raises(StoreError, match="wrong number of arguments"):
                await link.transaction([("SET", "k", "100"), ("GET",)])
            assert await link.call("GET", "k") == b"2"

    async def test_a_script_is_sent_once_and_then_called_by_its_hash(
        self, any_server: Server
    ) -> None:
        text = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}"
        # The server is shared, and so are its counters.
        any_server.cli("CONFIG RESETSTAT")
        async with await Link.connect(address_of(any_server)) as link:
            assert await link.script(text, ["k"], ["a"]) == [b"k", b"a", 1]
            assert await link.script(text, ["k"], ["b"]) == [b"k", b"b", 2]
            stats = any_server.cli("INFO commandstats")
            assert stats["cmdstat_eval"]["calls"] == 1
            with pytest.raises(StoreError, match="oh no"):
                await link.script("return redis.error_reply('ERR oh no')")

    async def test_changes_are_pushed(self, any_server: Server) -> None:
        pushed: asyncio.Queue[object] = asyncio.Queue()
        async with await Link.connect(
            address_of(any_server), on_push=lambda kind, keys: pushed.put_nowait(keys)
        ) as link:
            await link.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "gray:")
            any_server.cli("HSET gray:route:chat:weights v2 10")
            assert await asyncio.wait_for(pushed.get(), 5) == [b"gray:route:chat:weights"]
            any_server.cli("FLUSHALL")
            assert await asyncio.wait_for(pushed.get(), 5) is None

    async def test_ten_megabytes_go_there_and_come_back(self, any_server: Server) -> None:
        blob = bytes(10 * 1024 * 1024)
        async with await Link.connect(address_of(any_server), timeout_seconds=20) as link:
            await link.call("SET", "big", blob)
            assert await link.call("GET", "big") == blob

    async def test_a_long_pipeline_gets_all_its_replies(self, any_server: Server) -> None:
        async with await Link.connect(address_of(any_server), timeout_seconds=20) as link:
            replies = await link.pipeline([("SADD", "s", f"user-{i}") for i in range(50_000)])
            assert replies == [1] * 50_000
            members = await link.call("SMEMBERS", "s")
            assert isinstance(members, list)
            assert len(set(members)) == 50_000

    async def test_the_role_follows_the_server(self, fresh_valkey: Server) -> None:
        async with await Link.connect(address_of(fresh_valkey)) as link:
            assert await link.ask_role() == "master"
            fresh_valkey.cli(f"REPLICAOF {HOST} {free_port()}")
            assert (await link.ask_role(), link.role) == ("replica", "master")

    async def test_a_demoted_master_ends_the_link_at_the_first_write(
        self, fresh_valkey: Server
    ) -> None:
        async with await Link.connect(address_of(fresh_valkey)) as link:
            fresh_valkey.cli(f"REPLICAOF {HOST} {free_port()}")
            with pytest.raises(StoreReadOnly, match=r"point redis\.url at the master"):
                await link.call("SET", "gray:x", "1")
            assert link.is_closed
        async with await Link.connect(address_of(fresh_valkey)) as link:
            with pytest.raises(StoreReadOnly):
                await link.call("SET", "gray:x", "1")
            assert not link.is_closed
            assert link.role == "replica"


class TestEnds:
    async def test_a_frozen_server_is_given_up_at_the_deadline(self, fresh_valkey: Server) -> None:
        async with await Link.connect(address_of(fresh_valkey)) as link:
            fresh_valkey.freeze()
            with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.15 s"):
                await link.call("PING", timeout_seconds=SHORT_SECONDS)
            await asyncio.wait_for(link.wait_closed(), 5)

    async def test_a_killed_server_ends_an_idle_link_at_once(self, fresh_valkey: Server) -> None:
        async with await Link.connect(address_of(fresh_valkey)) as link:
            fresh_valkey.kill()
            await asyncio.wait_for(link.wait_closed(), 5)
            assert "closed the connection" in str(link.failure)

    async def test_a_server_that_pauses_its_clients_is_given_up(self, fresh_valkey: Server) -> None:
        async with await Link.connect(address_of(fresh_valkey)) as link:
            fresh_valkey.cli("CLIENT PAUSE 60000 ALL")
            with pytest.raises(StoreUnavailable):
                await link.call("PING", timeout_seconds=SHORT_SECONDS)

    async def test_memory_that_is_full_is_told_as_read_only(self) -> None:
        with Valkey(arguments=["--maxmemory", "1"]) as server:
            async with await Link.connect(address_of(server)) as link:
                with pytest.raises(StoreReadOnly, match="maxmemory"):
                    await link.call("SET", "k", "v")
                assert await link.call("GET", "k") is None

    def test_the_other_event_loop_does_as_well(self, fresh_valkey: Server) -> None:
        async def life() -> None:
            async with await Link.connect(address_of(fresh_valkey)) as link:
                assert len(await link.pipeline([("SET", "k", b"x" * 100_000)] * 50)) == 50
                fresh_valkey.freeze()
                with pytest.raises(StoreUnavailable):
                    await link.call("PING", timeout_seconds=SHORT_SECONDS)
            with pytest.raises(StoreUnavailable):
                await Link.connect(address_of(fresh_valkey), timeout_seconds=SHORT_SECONDS)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(life())


@pytest.mark.debian
class TestTls:
    async def test_a_certificate_of_our_ca_is_trusted(self, authority: Authority) -> None:
        with TlsRedis(authority) as server:
            [address] = parse_url(server.url).addresses
            context = tls_context(Settings(tls_ca=authority.ca))
            async with await Link.connect(address, tls=context) as link:
                assert await link.call("PING") == b"PONG"
                server.freeze()
                with pytest.raises(StoreUnavailable):
                    await link.call("PING", timeout_seconds=SHORT_SECONDS)
            server.thaw()

    async def test_a_certificate_of_somebody_else_is_not(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        other = Authority(tmp_path / "other", "Other CA")
        with TlsRedis(authority) as server:
            [address] = parse_url(server.url).addresses
            for settings in (Settings(tls_ca=other.ca), Settings()):
                error = await refusal(address, tls=tls_context(settings))
                assert isinstance(error, StoreUnavailable)
                assert "is not trusted" in str(error)
                assert "redis.tls_ca" in str(error)

    async def test_a_certificate_for_another_host_is_not(self, authority: Authority) -> None:
        with TlsRedis(authority, arguments=["--bind", "127.0.0.1", "127.0.0.2"]) as server:
            address = Address("127.0.0.2", server.port, tls=True)
            error = await refusal(address, tls=tls_context(Settings(tls_ca=authority.ca)))
            assert "the host name in redis.url" in str(error)

    async def test_the_server_may_ask_for_our_certificate(self, authority: Authority) -> None:
        with TlsRedis(authority, wants_client=True) as server:
            [address] = parse_url(server.url).addresses
            certificate, key = authority.issue("client")
            settings = Settings(tls_ca=authority.ca, tls_cert=certificate, tls_key=key)
            async with await Link.connect(address, tls=tls_context(settings)) as link:
                assert await link.call("PING") == b"PONG"
            error = await refusal(address, tls=tls_context(Settings(tls_ca=authority.ca)))
            assert "set redis.tls_cert" in str(error)

    async def test_plain_words_to_a_tls_port_are_answered_with_advice(
        self, authority: Authority
    ) -> None:
        with TlsRedis(authority) as server:
            error = await refusal(address_of(server))
            assert isinstance(error, StoreUnavailable)
            assert "rediss://" in str(error)

    async def test_tls_to_a_plain_port_is_answered_with_advice(
        self, authority: Authority, store: Server
    ) -> None:
        address = Address(HOST, store.port, tls=True)
        context = tls_context(Settings(tls_ca=authority.ca))
        error = await refusal(address, tls=context, timeout_seconds=SHORT_SECONDS)
        assert isinstance(error, StoreUnavailable)

    async def test_a_tls_address_is_never_spoken_to_in_plain(self, store: Server) -> None:
        error = await refusal(Address(HOST, store.port, tls=True))
        assert "no TLS settings" in str(error)
