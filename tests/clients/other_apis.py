"""Endpoints in the manner of Anthropic, KServe, TensorFlow Serving, Ollama and OpenAI realtime."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import WSMsgType, web

from tests.clients.model_server import ModelServer

Json = dict[str, Any]
WORDS = ("one", "two", "three")


class OtherApis:
    """What clients of other model servers talk to."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def routes(self) -> Iterator[web.RouteDef]:
        yield web.post("/v1/messages", self._messages)
        yield web.post("/v2/models/{model}/infer", self._infer)
        yield web.get("/v2/health/ready", self._ready)
        yield web.post(r"/v1/models/{model:[^/:]+}:predict", self._predict)
        yield web.post(r"/v1/models/{model}/versions/{version:\d+}:predict", self._predict)
        yield web.post("/api/chat", self._ollama)
        yield web.get("/v1/realtime", self._realtime)

    async def _body(self, request: web.Request) -> bytes:
        raw = await request.read()
        self._server.note(request, raw)
        return raw

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body: Json = json.loads(await self._body(request))
        if body["model"] == "overloaded":
            error = {"type": "overloaded_error", "message": "Overloaded"}
            return web.json_response({"type": "error", "error": error}, status=529)
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
        if not body.get("stream"):
            content = [{"type": "text", "text": " ".join(WORDS)}]
            return web.json_response({**message, "content": content, "stop_reason": "end_turn"})
        events: list[Json] = [{"type": "message_start", "message": message}, {"type": "ping"}]
        for word in WORDS:
            delta = {"type": "text_delta", "text": word}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        events.append({"type": "message_stop"})
        return await self._server.send(
            request,
            (b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode())
             for e in events),
        )  # fmt: skip

    async def _infer(self, request: web.Request) -> web.StreamResponse:
        """Echoes tensors; with the binary extension, JSON first and raw bytes after it."""
        raw = await self._body(request)
        name = request.match_info["model"]
        if length := request.headers.get("Inference-Header-Content-Length"):
            head, tensor = raw[: int(length)], raw[int(length) :]
            said = json.dumps({"model_name": name, "inputs": json.loads(head)["inputs"]}).encode()
            return web.Response(
                body=said + tensor[::-1],
                content_type="application/octet-stream",
                headers={"Inference-Header-Content-Length": str(len(said))},
            )
        return web.json_response({"model_name": name, "outputs": json.loads(raw)["inputs"]})

    async def _ready(self, request: web.Request) -> web.StreamResponse:
        self._server.note(request, b"")
        return web.Response()

    async def _predict(self, request: web.Request) -> web.StreamResponse:
        raw = await self._body(request)
        predictions = [value / 2 for value in json.loads(raw)["instances"]]
        return web.json_response({"predictions": predictions, **request.match_info})

    async def _ollama(self, request: web.Request) -> web.StreamResponse:
        body: Json = json.loads(await self._body(request))
        lines = [
            {"model": body["model"], "message": {"role": "assistant", "content": word},
             "done": word == WORDS[-1]}
            for word in WORDS
        ]  # fmt: skip
        return await self._server.send(
            request, (json.dumps(line).encode() + b"\n" for line in lines), "application/x-ndjson"
        )

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        self._server.note(request, b"")
        socket = web.WebSocketResponse(protocols=("realtime",))
        await socket.prepare(request)
        session = {"id": "sess_1", "type": "realtime", "model": request.query["model"]}
        await socket.send_json(
            {"type": "session.created", "event_id": "event_1", "session": session}
        )
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            asked = message.json()
            for number, word in enumerate(WORDS if asked["type"] == "response.create" else ()):
                await socket.send_json(
                    {"type": "response.output_text.delta", "event_id": f"event_{number}",
                     "response_id": "resp_1", "item_id": "item_1", "output_index": 0,
                     "content_index": 0, "delta": word}
                )  # fmt: skip
        return socket


def other_apis(server: ModelServer) -> Iterable[web.RouteDef]:
    return OtherApis(server).routes()
