"""What HTTP can do beside JSON: files, ranges, codings, redirects, cookies, uploads, sockets."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator

from aiohttp import WSMsgType, web

from tests.clients.model_server import ModelServer

BLOCK = bytes(range(256)) * 256
BLOCKS = 64  # 4 MiB
BIG_SHA256 = hashlib.sha256(BLOCK * BLOCKS).hexdigest()
GZIPPED = gzip.compress(b'{"text": "' + b"gray " * 20_000 + b'"}', mtime=0)


class WebApi:
    """Endpoints whose answers are of every kind that HTTP/1.1 knows."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def routes(self) -> Iterator[web.RouteDef]:
        yield web.route("*", "/echo{rest:.*}", self._echo)
        yield web.get("/big/{framing}", self._big)
        yield web.get("/files/{name}", self._file)
        yield web.get("/gzip", self._gzip)
        yield web.get("/status/{status}", self._status)
        yield web.route("*", "/redirect/{status}", self._redirect)
        yield web.get("/cookies/set", self._set_cookies)
        yield web.get("/fields", self._fields)
        yield web.get("/short", self._short)
        yield web.post("/upload", self._upload)
        yield web.post("/conversation", self._converse)
        yield web.post("/refuse", self._refuse, expect_handler=_refuse_expectation)
        yield web.get("/ws", self._socket)
        yield web.get("/ws/refused", self._no_socket)

    async def _body(self, request: web.Request) -> bytes:
        body = await request.read()
        self._server.note(request, body)
        return body

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        """Says back what came; the body as it came, under its own type."""
        body = await self._body(request)
        about = {"Content-Type": request.headers.get("Content-Type", "text/plain")}
        return web.Response(body=body, headers={**about, "X-Method": request.method})

    async def _big(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        framing = request.match_info["framing"]
        if framing == "until-close":
            return await _until_close(request)
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        if framing == "length":
            response.content_length = len(BLOCK) * BLOCKS
        await response.prepare(request)
        if request.method != "HEAD":
            for _ in range(BLOCKS):
                await response.write(BLOCK)
        await response.write_eof()
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        return web.FileResponse(self._server.folder / request.match_info["name"])

    async def _gzip(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "ETag": '"abc"'}
        return web.Response(body=GZIPPED, headers=headers, content_type="application/json")

    async def _status(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        status = int(request.match_info["status"])
        if status in (204, 304):
            return web.Response(status=status, headers={"ETag": '"abc"'})
        return web.Response(status=status, reason="As Asked", text=f"status {status}")

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        to = request.query.get("to", "/echo/moved")
        status = int(request.match_info["status"])
        return web.Response(status=status, headers={"Location": to}, text="moved")

    async def _set_cookies(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        response = web.Response(text="set")
        response.headers.add("Set-Cookie", "session=a1; Path=/; HttpOnly")
        later = "Expires=Wed, 09 Jun 2088 10:18:14 GMT"
        response.headers.add("Set-Cookie", f'theme="gray, dark"; {later}; Path=/echo')
        response.headers.add("Set-Cookie", "session2=b=2; Path=/; SameSite=Lax")
        return response

    async def _fields(self, request: web.Request) -> web.StreamResponse:
        """Fields that proxies like to change: repeated, oddly spelt, long, empty, not ASCII."""
        await self._body(request)
        fields = [
            ("Link", "</a>; rel=next"),
            ("X-ODD-cAsE", "Kept As It Is"),
            ("Link", "</b>; rel=prev"),
            ("X-Empty", ""),
            ("x_underscore", "1"),
            ("X-Long", "l" * 6000),
            ("X-Utf8", "☂ é"),
            ("Warning", '199 - "misc"'),
            ("Cache-Control", "no-store"),
            ("Access-Control-Allow-Origin", "*"),
            ("Strict-Transport-Security", "max-age=1"),
            ("Link", "</c>"),
        ]
        response = web.Response(text="fields")
        for name, value in fields:
            response.headers.add(name, value)
        return response

    async def _short(self, request: web.Request) -> web.StreamResponse:
        """Promises ten bytes and closes after five."""
        await self._body(request)
        response = web.StreamResponse()
        response.content_length = 10
        await response.prepare(request)
        await response.write(b"01234")
        assert request.transport is not None
        request.transport.close()
        return response

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Takes the body piece by piece and tells the test of each."""
        stream = self._server.stream_of(request)
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            if stream is not None:
                stream.note_arrived()
        self._server.note(request, bytes(body))
        digest = hashlib.sha256(body).hexdigest()
        return web.json_response({"bytes": len(body), "sha256": digest})

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        """Answers while the request is still on its way: each piece comes back at once."""
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            await response.write(part.upper())
        self._server.note(request, bytes(body))
        await response.write_eof()
        return response

    async def _refuse(self, request: web.Request) -> web.StreamResponse:
        return _too_large()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """Greets, then says back what it is told; "end" makes it close with a code of its own."""
        self._server.note(request, b"")
        stream = self._server.stream_of(request)
        socket = web.WebSocketResponse(protocols=("chat.v2", "chat.v1"), max_msg_size=0)
        socket.headers["X-Socket"] = "ours"
        await socket.prepare(request)
        await socket.send_str("hello")  # right behind the handshake
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data == "end":
                await socket.close(code=4001, message=b"as you wish")
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        if stream is not None:
            stream.close_code = socket.close_code
            stream.gone.set()
        return socket

    async def _no_socket(self, request: web.Request) -> web.StreamResponse:
        self._server.note(request, b"")
        headers = {"X-Why": "no seat"}
        return web.Response(status=403, text="no sockets for you", headers=headers)


def web_api(server: ModelServer) -> Iterable[web.RouteDef]:
    return WebApi(server).routes()


async def _until_close(request: web.Request) -> web.StreamResponse:
    """An answer whose end is the end of the connection, as old servers give it."""
    transport = request.transport
    assert isinstance(transport, asyncio.Transport)
    transport.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
    transport.write(BLOCK * BLOCKS)
    transport.close()
    return web.Response()


async def _refuse_expectation(_request: web.Request) -> web.StreamResponse:
    """Without a 100, so that the client need not send the body."""
    return _too_large()


def _too_large() -> web.Response:
    error = {"message": "Too large for this model.", "code": "too_large"}
    response = web.Response(
        status=413, text=json.dumps({"error": error}), content_type="application/json"
    )
    response.force_close()
    return response
