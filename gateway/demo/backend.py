"""A model that is none: answers like an OpenAI-style server, as slowly and as badly as it is told.

    python -m gateway.demo.backend --name v2 --port 9102

Every answer names its version. `PUT /demo/behaviour {"error_rate": 0.3}`, sent to the backend
itself, breaks it while it runs; the request headers `x-demo-latency-ms` and `x-demo-status` do so
for a single request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from gateway.demo import answers
from gateway.demo.behaviour import Behaviour, Dice, Fate
from gateway.demo.tether import tie_to_parent
from gateway.demo.until import until_told_to_end

MEBIBYTES = 1024 * 1024
MAX_BODY = 64 * MEBIBYTES
MAX_DELAY_MS = 60_000.0

FATE = web.RequestKey("fate", Fate)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DemoBackend:
    """One version of the demo model; `app()` is what an aiohttp server runs."""

    def __init__(
        self,
        name: str,
        latency_ms: float = 40.0,
        error_rate: float = 0.0,
        chunk_ms: float = 20.0,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.behaviour = Behaviour().changed(
            {"latency_ms": latency_ms, "error_rate": error_rate, "chunk_ms": chunk_ms}
        )
        self._dice = Dice(seed)

    def __repr__(self) -> str:
        return f"<DemoBackend {self.name}: {self.behaviour}>"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._live])
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/demo/behaviour", self._show_behaviour)
        app.router.add_put("/demo/behaviour", self._change_behaviour)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_route("*", "/{path:.*}", self._echo)
        return app

    @web.middleware
    async def _live(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What every answer of the model has in common: delay, failure, the version's name."""
        if request.path in ("/healthz", "/demo/behaviour"):
            return await handler(request)
        try:
            fate = self._fate(request)
            status = _forced_status(request)
        except ValueError as wrong:
            return self._refuse(str(wrong))
        # The body is taken before the delay, so that a client is never blocked while sending.
        await request.read()
        await asyncio.sleep(fate.delay_seconds)
        if status is not None:
            return self._fail(f"{self.name} answers {status} as asked", status)
        if fate.fails:
            return self._fail(f"{self.name} failed, as its error rate wants it to", 500)
        request[FATE] = fate
        try:
            return await handler(request)
        except _BadRequest as wrong:
            return self._refuse(str(wrong))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await _json_object(request)
        fate = request[FATE]
        answer = answers.Completion(
            self.name,
            body,
            chat=request.path.endswith("/chat/completions"),
            serial=fate.serial,
            now=int(time.time()),
        )
        if body.get("stream"):
            return await self._stream(request, list(answer.events()), fate)
        return await self._say(request, answer.whole())

    async def _stream(
        self, request: web.Request, events: list[answers.Json], fate: Fate
    ) -> web.StreamResponse:
        """Sends each event as a chunk of its own; a cut stream breaks off after half of them."""
        response = web.StreamResponse(headers=self._headers("text/event-stream"))
        response.headers["Cache-Control"] = "no-cache"
        # A client that leaves in the middle is daily life for a model, not an error.
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            for index, event in enumerate(events):
                if fate.is_cut and index == len(events) // 2:
                    _cut(request)
                    return response
                if index:
                    await asyncio.sleep(self.behaviour.chunk_ms / 1000)
                await response.write(b"data: %b\n\n" % msgspec.json.encode(event))
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        return response

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body = await _json_object(request)
        return await self._say(request, answers.embeddings(self.name, body))

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return await self._say(request, answers.models(self.name, int(time.time())))

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        told = {
            "version": self.name,
            "method": request.method,
            "path": _printable(request.raw_path),
            "headers": [[str(n), _printable(v)] for n, v in request.headers.items()],
            "body_bytes": len(await request.read()),
        }
        return await self._say(request, told)

    async def _say(self, request: web.Request, body: object) -> web.StreamResponse:
        """A plain answer; a cut one breaks off in the middle of its body."""
        encoded = msgspec.json.encode(body)
        fate = request[FATE]
        if not fate.is_cut:
            return web.Response(body=encoded, headers=self._headers("application/json"))
        response = web.StreamResponse(headers=self._headers("application/json"))
        response.content_length = len(encoded)
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(encoded[: len(encoded) // 2])
            _cut(request)
        return response

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return self._json({"status": "ok", "version": self.name})

    async def _show_behaviour(self, request: web.Request) -> web.StreamResponse:
        return self._json(self.behaviour)

    async def _change_behaviour(self, request: web.Request) -> web.StreamResponse:
        # The demo's data port may be open to the network, and every path of it leads here.
        if "Via" in request.headers or "X-Forwarded-For" in request.headers:
            return self._fail(
                "behaviour is changed at the backend itself, not through a proxy", 403
            )
        try:
            wish = msgspec.json.decode(await request.read(), type=dict[str, float])
            self.behaviour = self.behaviour.changed(wish)
        except msgspec.MsgspecError as wrong:
            return self._refuse(f"behaviour not changed: {wrong}")
        return self._json(self.behaviour)

    def _fate(self, request: web.Request) -> Fate:
        fate = self._dice.roll(self.behaviour)
        asked = request.headers.get("x-demo-latency-ms")
        if asked is None:
            return fate
        try:
            delay_ms = float(asked)
        except ValueError:
            delay_ms = -1.0
        if not 0 <= delay_ms <= MAX_DELAY_MS:
            raise ValueError(f"x-demo-latency-ms must be a number from 0 to {MAX_DELAY_MS:.0f}")
        return msgspec.structs.replace(fate, delay_seconds=delay_ms / 1000)

    def _refuse(self, message: str) -> web.Response:
        return self._json(answers.error(message, kind="invalid_request_error"), 400)

    def _fail(self, message: str, status: int) -> web.Response:
        if status < 400:
            return self._json({"version": self.name, "status": status}, status)
        return self._json(answers.error(message, code=f"demo_{status}"), status)

    def _json(self, body: object, status: int = 200) -> web.Response:
        return web.Response(
            body=msgspec.json.encode(body),
            status=status,
            headers=self._headers("application/json"),
        )

    def _headers(self, content_type: str) -> dict[str, str]:
        return {"Content-Type": content_type, "x-demo-version": self.name}


class _BadRequest(Exception):
    """The model cannot read what it was sent."""


async def _json_object(request: web.Request) -> answers.Json:
    try:
        return msgspec.json.decode(await request.read(), type=answers.Json)
    except msgspec.MsgspecError as error:
        raise _BadRequest(f"the body is not a JSON object: {error}") from error


def _forced_status(request: web.Request) -> int | None:
    asked = request.headers.get("x-demo-status")
    if asked is None:
        return None
    if not re.fullmatch("[2-5][0-9][0-9]", asked):
        raise ValueError("x-demo-status must be a status from 200 to 599")
    return int(asked)


def _printable(text: str) -> str:
    """The text without the bytes that are no UTF-8, which JSON cannot carry."""
    return text.encode(errors="replace").decode()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def serve(backend: DemoBackend, listener: socket.socket, parent_pid: int | None) -> None:
    """Answers on `listener` until told to end or, if tied to a parent, until that one is gone."""
    runner = web.AppRunner(backend.app(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await until_told_to_end(parent_pid)
    finally:
        await runner.cleanup()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.backend", description=__doc__)
    parser.add_argument("--name", required=True, help="name of the version")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="port on the address of --host")
    where.add_argument("--fd", type=int, help="inherited listening socket")
    parser.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 in a container")
    parser.add_argument("--latency-ms", type=float, default=40.0)
    parser.add_argument("--error-rate", type=float, default=0.0)
    parser.add_argument("--chunk-ms", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parent", type=int, help="process id to end with")
    given = parser.parse_args(arguments)
    if given.parent is not None:
        tie_to_parent(given.parent)
    try:
        backend = DemoBackend(
            given.name, given.latency_ms, given.error_rate, given.chunk_ms, given.seed
        )
    except msgspec.ValidationError as wrong:
        parser.error(str(wrong))
    listener = (
        socket.create_server((given.host, given.port))
        if given.fd is None
        else socket.socket(fileno=given.fd)
    )
    asyncio.run(serve(backend, listener, given.parent))


if __name__ == "__main__":
    main()
