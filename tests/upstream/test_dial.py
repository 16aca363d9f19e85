"""Connections to real sockets: what stands, what does not, and in what words."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest

from gateway.config.endpoints import EndpointRule, Place
from gateway.config.settings import Upstream
from gateway.errors import ConnectFailed, ConnectTimeout, Overflow
from gateway.upstream.address import parse_target
from gateway.upstream.dial import Dialer
from gateway.upstream.resolve import Lookup, Resolver
from tests.tls import Authority
from tests.upstream.parts import (
    HOST,
    PATIENCE_SECONDS,
    Clock,
    Listener,
    Swallowing,
    dialer,
    draw,
    free_port,
    until,
)


class Plain(asyncio.Protocol):
    """Knows its transport and whether it stands."""

    transport: asyncio.Transport
    is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False


async def dialled(
    url: str, used: Dialer | None = None, seconds: float = 5.0
) -> tuple[Plain, asyncio.Transport]:
    protocol = await (used or dialer()).dial(parse_target(url), Plain, seconds)
    assert protocol.is_open
    return protocol, protocol.transport


async def ended(protocol: Plain) -> None:
    protocol.transport.abort()
    await until(lambda: not protocol.is_open)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def says(*addresses: str) -> Lookup:
    async def lookup(host: str) -> list[str]:
        return list(addresses)

    return lookup


async def test_a_connection_stands_and_does_not_hold_small_pieces_back(listener: Listener) -> None:
    protocol, transport = await dialled(listener.url)
    raw = transport.get_extra_info("socket")
    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await ended(protocol)


async def test_a_name_is_resolved(listener: Listener) -> None:
    protocol, transport = await dialled(f"http://model.test:{listener.port}", dialer(says(HOST)))
    assert transport.get_extra_info("peername")[0] == HOST
    await ended(protocol)


async def test_ipv6_addresses_connect() -> None:
    try:
        listening = Listener(host="::1")
        await listening.__aenter__()
    except OSError:
        pytest.skip("there is no IPv6 here")
    protocol, transport = await dialled(f"http://[::1]:{listening.port}")
    assert transport.get_extra_info("peername")[0] == "::1"
    await ended(protocol)
    await listening.stop()


async def test_a_socket_in_the_file_system_connects(tmp_path: Path) -> None:
    path = str(tmp_path / "my model.sock")
    async with Listener(path=path):
        protocol, _ = await dialled(f"http+unix://{quote(path, safe='')}/prefix")
        await ended(protocol)


async def test_L09_a_refused_connection_is_one_error_of_ours() -> None:
    port = free_port()
    with pytest.raises(ConnectFailed) as caught:
        await dialled(f"http://127.0.0.1:{port}")
    assert str(port) not in str(caught.value), "clients are told no addresses"
    assert f"127.0.0.1:{port}" in caught.value.detail


@pytest.mark.parametrize("url", ["http://model.test", "http+unix://%2Fnowhere%2Fm.sock"])
async def test_what_is_not_there_cannot_be_connected_to(url: str) -> None:
    async def lookup(host: str) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ConnectFailed):
        await dialled(url, dialer(lookup))


async def test_L09_an_endpoint_that_swallows_everything_times_out() -> None:
    with Swallowing() as silent, pytest.raises(ConnectTimeout):
        await dialled(f"http://127.0.0.1:{silent.port}", seconds=0.05)


async def test_the_time_limit_holds_for_the_name_too() -> None:
    never = asyncio.Event()

    async def lookup(host: str) -> list[str]:
        await never.wait()
        return [HOST]

    resolver = Resolver(draw, lookup)
    used = Dialer(Upstream(), resolver, asyncio.get_running_loop().time)
    with pytest.raises(ConnectTimeout):
        await dialled("http://model.test", used, seconds=0.05)
    await resolver.close()


async def test_the_time_limit_holds_for_the_handshake_too() -> None:
    with socket.create_server((HOST, 0)) as mute:  # accepts, and never says anything
        with pytest.raises(ConnectTimeout):
            await dialled(f"https://127.0.0.1:{mute.getsockname()[1]}", seconds=0.05)
        accepted, _ = mute.accept()
        with accepted:
            accepted.setblocking(False)
            loop = asyncio.get_running_loop()
            while await asyncio.wait_for(loop.sock_recv(accepted, 65536), PATIENCE_SECONDS):
                pass  # the hello; then the end: nothing stays behind


async def test_a_name_with_a_dead_address_still_connects_and_the_address_comes_last(
    listener: Listener,
) -> None:
    resolver = Resolver(draw, says("127.0.0.2", HOST))  # nobody listens at the first one
    used = Dialer(Upstream(), resolver, Clock())
    for _ in range(4):
        protocol, transport = await dialled(f"http://model.test:{listener.port}", used)
        assert transport.get_extra_info("peername")[0] == HOST
        await ended(protocol)
    assert listener.accepted == 4
    for _ in range(2):
        assert await resolver.addresses("model.test", Clock().now) == [HOST, "127.0.0.2"]


async def test_an_address_that_swallows_everything_leaves_time_for_the_others(
    listener: Listener,
) -> None:
    with Swallowing() as silent:
        real = asyncio.get_running_loop().create_connection
        asked: list[str] = []

        async def connect(
            make: type[Plain], host: str, port: int, **more: object
        ) -> tuple[asyncio.Transport, Plain]:
            asked.append(host)
            return await real(make, HOST, silent.port if host == "127.0.0.2" else port)

        # Different hosts that share a port cannot be had on every machine; the dialer sees them.
        used = dialer(says("127.0.0.2", "127.0.0.3"))
        target = parse_target(f"http://model.test:{listener.port}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio, "get_running_loop", lambda: _Loop(connect))
            made = [await used.dial(target, Plain, 0.2) for _ in range(2)]
    assert asked == ["127.0.0.3", "127.0.0.2", "127.0.0.3"]
    for protocol in made:
        await ended(protocol)


class _Loop:
    def __init__(self, connect: object) -> None:
        self.create_connection = connect


async def test_of_a_name_whose_addresses_are_all_dead_four_are_tried() -> None:
    port = free_port()
    addresses = [f"127.0.0.{last}" for last in range(2, 8)]
    resolver = Resolver(draw, says(*addresses))
    with pytest.raises(ConnectFailed):
        await dialled(f"http://model.test:{port}", Dialer(Upstream(), resolver, Clock()))
    found = await resolver.addresses("model.test", Clock().now)
    assert set(found[:2]) == {"127.0.0.2", "127.0.0.7"}, "those that were not"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL])
@pytest.mark.parametrize("host", [HOST, "model.test"])
async def test_L07_what_we_lack_ourselves_is_not_the_endpoints_fault(
    number: int, host: str
) -> None:
    asked = 0

    async def connect(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise OSError(number, os.strerror(number))

    used = Dialer(Upstream(), Resolver(draw, says(HOST, "127.0.0.2")), Clock())
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Overflow) as caught:
        patch.setattr(asyncio, "get_running_loop", lambda: _Loop(connect))
        await used.dial(parse_target(f"http://{host}"), Plain, 5.0)
    assert os.strerror(number) in caught.value.detail
    assert asked == 1, "another address would not help"


async def test_giving_up_a_connection_leaves_nothing_behind(listener: Listener) -> None:
    await ended((await dialled(listener.url))[0])  # the loop opens some for itself
    await until(lambda: listener.open == 0)
    before = descriptors()
    for turns in range(6):
        task = asyncio.create_task(dialled(listener.url))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(done, tuple):
            await ended(done[0])
    await until(lambda: listener.open == 0 and descriptors() <= before)


# TLS


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture
def trusting(authority: Authority) -> Iterator[Upstream]:
    yield Upstream(tls_ca=authority.ca)


async def test_tls_verifies_says_the_name_and_asks_for_http11(
    context: ssl.SSLContext, trusting: Upstream
) -> None:
    async with Listener(context=context) as listener:
        used = dialer(says(HOST), trusting)
        protocol, transport = await dialled(f"https://localhost.:{listener.port}", used)
        assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert listener.server_names == ["localhost"]
        await ended(protocol)


async def test_tls_to_an_address_is_verified_by_that_address(
    context: ssl.SSLContext, trusting: Upstream
) -> None:
    async with Listener(context=context) as listener:
        protocol, _ = await dialled(listener.url, dialer(upstream=trusting))
        assert listener.server_names == [None]
        await ended(protocol)


async def test_a_certificate_of_another_name_is_refused(
    context: ssl.SSLContext, trusting: Upstream
) -> None:
    async with Listener(context=context) as listener:
        with pytest.raises(ConnectFailed) as caught:
            await dialled(f"https://model.test:{listener.port}", dialer(says(HOST), trusting))
        assert "certificate" in caught.value.detail


async def test_a_certificate_of_a_stranger_is_refused_unless_verification_is_off(
    context: ssl.SSLContext,
) -> None:
    async with Listener(context=context) as listener:
        with pytest.raises(ConnectFailed):
            await dialled(listener.url)
        protocol, _ = await dialled(listener.url, dialer(upstream=Upstream(tls_verify=False)))
        await ended(protocol)


async def test_our_own_certificate_is_shown_to_who_asks(
    context: ssl.SSLContext, authority: Authority
) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca)
    certificate, key = authority.issue("client")
    upstream = Upstream(tls_ca=authority.ca, tls_cert=certificate, tls_key=key)
    async with Listener(context=context) as listener:
        protocol, _ = await dialled(listener.url, dialer(upstream=upstream))
        await until(lambda: listener.accepted == 1)
        await ended(protocol)


async def test_what_speaks_no_tls_behind_https_is_a_failure() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    with pytest.raises(ConnectFailed):
        await dialled(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:169.254.1.1"])
async def test_A08_a_name_that_leads_where_no_endpoint_may_be_is_not_connected_to(
    address: str,
) -> None:
    with pytest.raises(ConnectFailed) as caught:
        await dialled("http://model.test", dialer(says(address)))
    assert "upstream.denied_networks" in caught.value.detail
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(ConnectFailed):
        await dialled(f"http://{literal}:1")


async def test_A08_of_the_addresses_of_a_name_only_the_allowed_ones_are_tried(
    listener: Listener,
) -> None:
    used = dialer(says("169.254.169.254", HOST))
    for _ in range(3):
        protocol, _ = await dialled(f"http://model.test:{listener.port}", used)
        await ended(protocol)


async def test_A08_networks_and_ports_that_are_not_allowed_are_not_connected_to(
    listener: Listener,
) -> None:
    for upstream in (
        Upstream(allowed_networks=("10.0.0.0/8",)),
        Upstream(denied_networks=("127.0.0.0/8",)),
        Upstream(allowed_ports=("1-2",)),
    ):
        with pytest.raises(ConnectFailed):
            await dialled(f"http://127.0.0.1:{listener.port}", dialer(upstream=upstream))


async def test_A09_a_name_that_leads_back_to_the_gateway_is_not_connected_to(
    listener: Listener,
) -> None:
    own = Place("0.0.0.0", listener.port, "the gateway's own data port")
    resolver = Resolver(draw, says(HOST))
    rule = EndpointRule(own=(own,))
    with pytest.raises(ConnectFailed) as caught:
        await dialled(
            f"http://model.test:{listener.port}", Dialer(Upstream(), resolver, Clock(), rule)
        )
    assert "the gateway's own data port" in caught.value.detail
