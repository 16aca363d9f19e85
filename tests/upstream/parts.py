"""What tests of endpoints are made of: a clock, connections, servers, tables."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from gateway.config.settings import Settings, Upstream
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Table, compile_route
from gateway.upstream.connection import UpstreamConnection, new_inlet
from gateway.upstream.dial import Dialer
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.fleet import Fleet
from gateway.upstream.resolve import Lookup, Resolver

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0

_MEMO = LineMemo()
_LIMITS = Limits()


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def draw() -> float:
    """A die that always shows the same."""
    return 0.0


def no_names(host: str) -> Awaitable[list[str]]:
    raise AssertionError(f"{host} was to be resolved")


class FakeTransport(asyncio.Transport):
    """Ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ended = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        self.is_ended = True

    def abort(self) -> None:
        self.is_ended = True


def connection() -> UpstreamConnection:
    return UpstreamConnection(_MEMO, _LIMITS, new_inlet())


def stands() -> UpstreamConnection:
    """A connection that stands, without a socket."""
    made = connection()
    made.connection_made(FakeTransport())
    return made


def dialer(lookup: Lookup = no_names, upstream: Upstream | None = None) -> Dialer:
    clock = asyncio.get_running_loop().time
    return Dialer(upstream or Upstream(), Resolver(draw, lookup), clock)


def endpoint(url: str = "http://127.0.0.1:1", with_dialer: Dialer | None = None) -> Endpoint:
    used = with_dialer or Dialer(Upstream(), Resolver(draw, no_names), Clock())
    return Endpoint(
        *(url, "route chat, version v1", used, connection),
        keepalive_seconds=4.0,
        max_connections=2,
    )


def fleet(clock: Clock, settings: Settings | None = None) -> Fleet:
    return Fleet(settings or Settings(), connection, clock=clock, draw=draw, lookup=no_names)


def spec(name: str = "chat", urls: Iterable[str] = ("http://10.0.0.1",), **more: Any) -> RouteSpec:
    """A route with one version, v1, unless `versions` says otherwise."""
    known = {"stable": "v1", "versions": {"v1": VersionSpec(urls=tuple(urls))}, "salt": name}
    return RouteSpec(name=name, **(known | more))


def table(*specs: RouteSpec) -> Table:
    return Table([compile_route(one, {}, Identity()) for one in specs])


class Listener:
    """A server that answers each request head with `answer`; None = it says nothing."""

    def __init__(
        self, *, host: str = HOST, path: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        self.answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.heads: list[bytes] = []
        self.server_names: list[str | None] = []
        self.accepted = 0
        self.open = 0
        self._host, self._path, self._context = host, path, context
        if context is not None:
            context.sni_callback = lambda _socket, name, _context: self.server_names.append(name)

    async def __aenter__(self) -> Self:
        if self._path:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        else:
            self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._context)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Nobody listens any more; connections end when their clients end them."""
        self._server.close()
        await until(lambda: not self.open)

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://{HOST}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if self.answer is not None:
                    writer.write(self.answer)
        except (asyncio.IncompleteReadError, OSError):
            writer.transport.abort()
        finally:
            self.open -= 1


class Swallowing:
    """A port that takes no connection and refuses none: what is sent there is lost."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind((HOST, 0))
        self._socket.listen(0)
        self.port: int = self._socket.getsockname()[1]
        self._waiting: list[socket.socket] = []

    def __enter__(self) -> Self:
        for _ in range(3):  # more than fit; nobody accepts them
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((HOST, self.port))
            self._waiting.append(one)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._socket):
            one.close()


def free_port() -> int:
    """One where nobody listens."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  # mostly it is a socket that changes it
            await asyncio.sleep(0.005)
