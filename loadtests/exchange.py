"""What one request costs in the gateway's own code: `python -m loadtests.exchange`.

A downstream and an upstream connection on transports that only remember, so neither the kernel nor
the loop is in the figures: parsing, deciding, writing heads, counting, and giving things back.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import msgspec

from gateway.config.settings import AccessLog, Limits, Settings
from gateway.proxy.downstream import Downstream
from gateway.proxy.plane import DataPlane
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Table, compile_route
from gateway.upstream.connection import UpstreamConnection, new_inlet
from loadtests.figures import HEADINGS, row

ROUNDS, REQUESTS = 15, 4000
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nServer: x\r\n"
    b'Date: Sat, 21 Nov 2026 06:53:26 GMT\r\n\r\n{"answer": 42}\n'
)
EVENT = b"64\r\n" + b"data: " + b"x" * 92 + b"\n\n" + b"\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class NoSocket:
    """A transport that takes everything and keeps nothing."""

    def write(self, data: bytes) -> None:
        self.last = data

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


def head(method: str, fields: int, body: bytes = b"") -> bytes:
    lines = [f"{method} /v1/chat/completions HTTP/1.1", "Host: a.example", "X-User-Id: alice"]
    lines += [f"X-Header-{n}: some value of header number {n}" for n in range(fields - 2)]
    if body:
        lines += ["Authorization: Bearer sk-0", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def plane_with(connection: UpstreamConnection) -> DataPlane:
    settings = msgspec.structs.replace(
        Settings(), limits=Limits(keepalive_requests=10**9), access_log=AccessLog(path="")
    )
    plane = DataPlane(settings)
    version = VersionSpec(urls=("http://127.0.0.1:9",))
    spec = RouteSpec(name="chat", stable="v1", versions={"v1": version, "v2": version}, salt="chat")
    plane.table = Table([compile_route(spec, {}, Identity())])
    connection.connection_made(cast(asyncio.Transport, NoSocket()))
    assert plane.view is not None
    endpoint = plane.view.routes["chat"].groups["v1"].endpoints[0]
    endpoint.keepalive_seconds = 1e9
    endpoint.give_back(connection, time.monotonic())
    return plane


def main() -> None:
    spare = DataPlane(Settings())
    connection = UpstreamConnection(spare.request_memo, spare.http_limits, new_inlet())
    plane = plane_with(connection)
    client = Downstream(plane)
    client.connection_made(cast(asyncio.Transport, NoSocket()))

    def ask(request: bytes) -> None:
        client.data_received(request)
        connection.data_received(ANSWER)

    gc.collect()
    gc.freeze()
    print(HEADINGS)
    for name, request in (
        ("GET, 2 headers", head("GET", 2)),
        ("POST 1 KB, 20 headers", head("POST", 18, b"x" * 1024)),
    ):
        print(row(f"{name}, µs", [_timed(partial(ask, request)) for _ in range(ROUNDS)]))
    client.data_received(head("GET", 2))
    connection.data_received(STREAM)
    tell = partial(connection.data_received, EVENT)
    print(row("one event of a stream, µs", [_timed(tell) for _ in range(ROUNDS)]))


def _timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    for _ in range(REQUESTS):
        work()
    return (time.process_time() - started) / REQUESTS * 1e6


if __name__ == "__main__":
    main()
