"""A proxy as one writes it with aiohttp: a session, a handler, chunks passed on; with uvloop.

python -m loadtests.peers.plain_aiohttp PORT ORIGIN ORIGIN
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from loadtests.peers.program import Place, Running, free_port, started

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-connection",
    }
)
_SOURCE = Path(__file__).resolve().parents[2]


class PlainAiohttp:
    name = "aiohttp"
    without: frozenset[str] = frozenset()

    def version(self) -> str:
        return version("aiohttp")

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        port = free_port()
        program = f"import sys; sys.path.insert(0, {str(_SOURCE)!r}); "
        program += "from loadtests.peers.plain_aiohttp import main; main()"
        numbers = [str(number) for number in (port, *place.origins)]
        async with started([sys.executable, "-c", program, *numbers], place, port) as process:
            yield Running(port, [process.pid], [])


class Proxy:
    def __init__(self, origins: list[str]) -> None:
        self._origins = origins

    async def start(self, port: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=300),
        )
        runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        bucket = zlib.crc32(request.headers.get("X-User-Id", "").encode()) % len(self._origins)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        headers["X-Forwarded-For"] = request.remote or ""
        sent = self._session.request(
            request.method,
            self._origins[bucket] + request.raw_path,
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        )
        async with sent as upstream:
            kept = {k: v for k, v in upstream.headers.items() if k.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def _serve(port: int, origins: list[str]) -> None:
    await Proxy(origins).start(port)
    await asyncio.Event().wait()


def main() -> None:
    port, *origins = sys.argv[1:]
    uvloop.run(_serve(int(port), [f"http://127.0.0.1:{origin}" for origin in origins]))


if __name__ == "__main__":
    main()
