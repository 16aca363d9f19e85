"""The stand-in of a drill: passes requests on to a real endpoint until it is told to fail.

It listens on a socket file that only this user can open, so no port is opened for it and no rule
about endpoints is relaxed; and it answers nobody who does not bring the drill's own token, so a
route that was pointed at it by hand leads nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import (
    BaseConnector,
    ClientError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    UnixConnector,
    web,
)

from gateway.release.drill.report import Kind
from gateway.upstream.address import parse_target

TOKEN_HEADER = "X-Drill-Token"  # the name of a header
SLOW_SECONDS = 1.0  # that the broken stand-in adds
FORWARD_SECONDS = 15.0
MOST_BYTES = 8 * 1024 * 1024
_HOP = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host",
     "content-length", "content-encoding", "proxy-connection", TOKEN_HEADER.lower())
)  # fmt: skip
_NO_HTTP = b"\x00\xff this is no answer \r\n\r\n"


class StandIn:
    """Serves inside `serving`; `fault` breaks it from then on."""

    def __init__(
        self,
        path: Path,
        endpoint: str,
        token: str,
        tls: Callable[[], ssl.SSLContext],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.fault: Kind | None = None
        self.requests = 0
        self.failed = 0
        self.failed_at: float | None = None  # the first request that met the fault
        self.last_at: float | None = None  # the last request of all
        self._path = path
        self._target = parse_target(endpoint)
        self._token = token
        self._tls = tls
        self._clock = clock

    def __repr__(self) -> str:
        return f"<StandIn of {self._target.url}, fault: {self.fault}>"

    @property
    def url(self) -> str:
        """The endpoint that a route names."""
        return f"http+unix://{quote(str(self._path), safe='')}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        async with ClientSession(
            connector=self._connector(),
            timeout=ClientTimeout(total=FORWARD_SECONDS),
            auto_decompress=False,
        ) as self._session:
            await runner.setup()
            try:
                await web.UnixSite(runner, self._path).start()
                self._path.chmod(0o600)
                yield
            finally:
                await runner.cleanup()
                self._path.unlink(missing_ok=True)

    def _connector(self) -> BaseConnector:
        if self._target.unix_path:
            return UnixConnector(self._target.unix_path)
        return TCPConnector(ssl=self._tls() if self._target.scheme == "https" else False)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(TOKEN_HEADER) != self._token:
            return web.Response(status=404, text="This is part of a drill, and no model.\n")
        self.requests += 1
        self.last_at = self._clock()
        fault = self.fault
        if fault is not None:
            self.failed += 1
            if self.failed_at is None:
                self.failed_at = self.last_at
        match fault:
            case "errors":
                return web.Response(status=500, text="broken by a drill\n")
            case "cut":
                return await _cut(request)
            case "garbled":
                return _garble(request)
            case "latency":
                await asyncio.sleep(SLOW_SECONDS)
        return await self._pass_on(request)

    async def _pass_on(self, request: web.Request) -> web.Response:
        target = self._target
        base = "http://localhost" if target.unix_path else target.url.rstrip("/")
        path = target.path.decode() if target.unix_path else ""
        headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _HOP]
        try:
            async with self._session.request(
                request.method,
                f"{base}{path}{request.raw_path}",
                headers=headers,
                data=await request.read() or None,
                allow_redirects=False,
            ) as answer:
                body = await answer.content.read(MOST_BYTES)
                kept = [(n, v) for n, v in answer.headers.items() if n.lower() not in _HOP]
                encoding = answer.headers.get("Content-Encoding")
                if encoding:
                    kept.append(("Content-Encoding", encoding))
                return web.Response(status=answer.status, headers=dict(kept), body=body)
        except (ClientError, TimeoutError, OSError) as error:
            return web.Response(status=502, text=f"{type(error).__name__}\n")


async def _cut(request: web.Request) -> web.StreamResponse:
    """The answer ends in the middle."""
    response = web.StreamResponse()
    response.content_length = 1000
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(b"x" * 100)
        if request.transport is not None:
            request.transport.close()
    return response


def _garble(request: web.Request) -> web.StreamResponse:
    """Bytes that are no HTTP, and the end of the connection."""
    if request.transport is not None:
        request.transport.write(_NO_HTTP)
        request.transport.close()
    return web.Response(status=500)
