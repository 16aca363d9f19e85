"""The OpenAI-style endpoints of a model server, streams, uploads and errors included."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web

from tests.clients.model_server import ModelServer

Json = dict[str, Any]

WORDS = ("Gray", " is", " the", " new", " canary", " ☂")
CREATED = 1_700_000_000
USAGE = {"prompt_tokens": 3, "completion_tokens": len(WORDS), "total_tokens": 3 + len(WORDS)}
# model name -> status, type, code; the way real servers complain.
FAILURES = {
    "bad-request": (400, "invalid_request_error", "context_length_exceeded"),
    "unauthorized": (401, "invalid_request_error", "invalid_api_key"),
    "forbidden": (403, "insufficient_permissions", "forbidden"),
    "missing": (404, "invalid_request_error", "model_not_found"),
    "unprocessable": (422, "invalid_request_error", "bad_schema"),
    "limited": (429, "requests", "rate_limit_exceeded"),
    "broken": (500, "server_error", "internal"),
    "overloaded": (503, "server_error", "overloaded"),
}


class OpenAIApi:
    """Answers in the shapes that the openai library reads."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def routes(self) -> Iterator[web.RouteDef]:
        # Of routes that do no more than they must, that split users, that have a dialect.
        for prefix in ("/v1", "/split/v1", "/spoken/v1"):
            yield web.post(prefix + "/chat/completions", self._chat)
            yield web.post(prefix + "/completions", self._complete)
            yield web.post(prefix + "/embeddings", self._embed)
            yield web.get(prefix + "/models", self._models)
            yield web.get(prefix + "/models/{model:.+}", self._model)
            yield web.post(prefix + "/responses", self._respond)
            yield web.post(prefix + "/audio/transcriptions", self._upload)
            yield web.post(prefix + "/files", self._upload)
            yield web.get(prefix + "/files/{name}/content", self._content)

    async def _asked(self, request: web.Request) -> Json:
        """The body of a request that may succeed; raises the failure that its model stands for."""
        raw = await request.read()
        self._server.note(request, raw)
        body: Json = json.loads(raw)
        model = body.get("model", "")
        stream = self._server.stream_of(request)
        if model == "limited-once" and stream is not None:
            stream.attempts += 1
            model = "limited" if stream.attempts == 1 else model
        if model in FAILURES:
            raise _failure(model)
        if model == "silent" and stream is not None:
            stream.begun.set()
            await stream.confirmed()
        return body

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._asked(request)
        if body.get("stream"):
            if body["model"] == "cut":
                return await self._cut(request, body)
            return await self._server.send(request, _chat_events(self._server.name, body))
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": CREATED,
                "model": body["model"],
                "system_fingerprint": self._server.name,
                "choices": [choice],
                "usage": USAGE,
            },
            headers={"openai-processing-ms": "12", "x-ratelimit-remaining-requests": "41"},
        )

    async def _cut(self, request: web.Request, body: Json) -> web.StreamResponse:
        """A stream that breaks off: the connection ends without the last chunk."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(next(iter(_chat_events(self._server.name, body))))
        assert request.transport is not None
        request.transport.close()
        return response

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await self._asked(request)
        whole = {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": CREATED,
            "model": body["model"],
        }
        if body.get("stream"):
            choices = [{"index": 0, "text": word, "finish_reason": None} for word in WORDS]
            return await self._server.send(
                request, _events({**whole, "choices": [one]} for one in choices)
            )
        choice = {"index": 0, "text": "".join(WORDS), "finish_reason": "stop", "logprobs": None}
        return web.json_response({**whole, "choices": [choice], "usage": USAGE})

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body = await self._asked(request)
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": [len(text) / 7, -0.25, 1e-9]}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response(
            {"object": "list", "data": data, "model": body["model"], "usage": usage}
        )

    async def _models(self, request: web.Request) -> web.StreamResponse:
        self._server.note(request, b"")
        models = [_model(name) for name in ("small", "org/large:8b")]
        return web.json_response({"object": "list", "data": models})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        self._server.note(request, b"")
        name = request.match_info["model"]
        if name in FAILURES:
            raise _failure(name)
        return web.json_response(_model(name))

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        body = await self._asked(request)
        response = {
            "id": "resp_1",
            "object": "response",
            "created_at": CREATED,
            "model": body["model"],
            "status": "in_progress",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        events: list[Json] = [{"type": "response.created", "response": response}]
        events += [{"type": "response.output_text.delta", "delta": word, **place} for word in WORDS]
        done = {**response, "status": "completed"}
        events.append({"type": "response.completed", "response": done})
        numbered = ({**event, "sequence_number": n} for n, event in enumerate(events))
        return await self._server.send(
            request,
            (b"event: %b\ndata: %b\n\n" % (e["type"].encode(), _dumped(e)) for e in numbered),
        )

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Tells of a multipart form what came in each of its fields."""
        raw = await request.read()
        self._server.note(request, raw)
        fields = dict(_form_fields(raw, request.headers["Content-Type"].partition("boundary=")[2]))
        if request.path.endswith("/files"):
            about = {"object": "file", "created_at": CREATED, "status": "processed"}
            head, size, digest = fields["file"]
            return web.json_response(
                {**about, "id": digest, "bytes": size, "filename": head, "purpose": "batch"}
            )
        return web.json_response({"text": json.dumps(fields, sort_keys=True)})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        self._server.note(request, b"")
        return web.Response(body=bytes(range(256)) * 4096, content_type="application/octet-stream")


def openai_api(server: ModelServer) -> Iterable[web.RouteDef]:
    return OpenAIApi(server).routes()


def _form_fields(body: bytes, boundary: str) -> Iterator[tuple[str, list[object]]]:
    """Name, file name, size and digest of each field of a multipart form."""
    _, *parts, _ = (b"\r\n" + body).split(b"\r\n--" + boundary.strip('"').encode())
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        [name] = re.findall(r'\bname="([^"]*)"', head.decode())
        digest = hashlib.sha256(content).hexdigest()
        yield name, [head.decode(), len(content), digest]


def _failure(model: str) -> web.HTTPException:
    status, kind, code = FAILURES[model]
    error = {"message": f"No: {model} ☂", "type": kind, "param": "model", "code": code}
    failure = web.HTTPException(text=json.dumps({"error": error}), content_type="application/json")
    failure.set_status(status)
    if status == 429:
        failure.headers["Retry-After"] = "1"
        failure.headers["Retry-After-Ms"] = "5"
        failure.headers["X-RateLimit-Limit-Requests"] = "60"
    if status == 401:
        failure.headers["WWW-Authenticate"] = 'Bearer realm="models"'
    return failure


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "us"}


def _chat_events(fingerprint: str, body: Json) -> Iterator[bytes]:
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": body["model"],
        "system_fingerprint": fingerprint,
    }
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in WORDS]
    chunks = [
        {**whole, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks.append({**whole, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({**whole, "choices": [], "usage": USAGE})
    return _events(chunks)


def _events(contents: Iterable[Json]) -> Iterator[bytes]:
    for content in contents:
        yield b"data: %b\n\n" % _dumped(content)
    yield b"data: [DONE]\n\n"


def _dumped(content: Json) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
