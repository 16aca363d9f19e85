"""What a demo model says, in the shapes of the OpenAI API. Pure: requests in, JSON values out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

# JSON values of a foreign API: their border is here, so Any is theirs, not ours.
Json = dict[str, Any]

MODEL = "chat"
DIMENSIONS = 8
ECHO_CHARACTERS = 200


def text_of(body: Json) -> str:
    """What the user asked last: a prompt, or the text parts of the last message."""
    said = body.get("prompt", "")
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        said = messages[-1].get("content", "")
    if isinstance(said, list):
        said = " ".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in said
        )
    return str(said)[:ECHO_CHARACTERS].strip()


def sentence(version: str, body: Json) -> str:
    said = text_of(body)
    return f"Hello from {version}! You said: {said}" if said else f"Hello from {version}!"


def pieces(text: str) -> list[str]:
    """The text word by word, as a model would stream it."""
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)]


class Completion:
    """One answer of a chat or text completion, whole or as the events of a stream."""

    def __init__(self, version: str, body: Json, *, chat: bool, serial: int, now: int) -> None:
        self._chat = chat
        self._text = sentence(version, body)
        self._prompt_tokens = len(text_of(body).split())
        options = body.get("stream_options")
        self._with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        self._head: Json = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{serial:016x}",
            "created": now,
            "model": str(body.get("model") or MODEL),
            "system_fingerprint": f"demo-{version}",
        }

    def whole(self) -> Json:
        choice: Json = {"index": 0, "finish_reason": "stop", "logprobs": None}
        if self._chat:
            choice["message"] = {"role": "assistant", "content": self._text}
        else:
            choice["text"] = self._text
        return {**self._frame(".completion"), "choices": [choice], "usage": self._usage()}

    def events(self) -> Iterator[Json]:
        """The stream's chunks in order, without the closing [DONE]."""
        if self._chat:
            yield self._chunk({"role": "assistant", "content": ""})
        for piece in pieces(self._text):
            yield self._chunk({"content": piece}, piece)
        yield self._chunk({}, finish="stop")
        if self._with_usage:
            yield {**self._frame(".completion.chunk"), "choices": [], "usage": self._usage()}

    def _chunk(self, delta: Json, text: str = "", finish: str | None = None) -> Json:
        choice: Json = {"index": 0, "finish_reason": finish, "logprobs": None}
        choice.update({"delta": delta} if self._chat else {"text": text})
        return {**self._frame(".completion.chunk"), "choices": [choice]}

    def _frame(self, kind: str) -> Json:
        return {"object": f"chat{kind}" if self._chat else "text_completion", **self._head}

    def _usage(self) -> Json:
        told = len(self._text.split())
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": told,
            "total_tokens": self._prompt_tokens + told,
        }


def embeddings(version: str, body: Json) -> Json:
    """Small vectors that depend on nothing but the version and the text."""
    given = body.get("input", "")
    texts = [str(text) for text in given] if isinstance(given, list) else [str(given)]
    tokens = sum(len(text.split()) for text in texts)
    return {
        "object": "list",
        "model": str(body.get("model") or MODEL),
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(version, text)}
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models(version: str, now: int) -> Json:
    entry = {"id": MODEL, "object": "model", "created": now, "owned_by": f"demo-{version}"}
    return {"object": "list", "data": [entry]}


def error(message: str, *, kind: str = "server_error", code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _vector(version: str, text: str) -> list[float]:
    seeds = [f"{version}/{index}/{text}".encode() for index in range(DIMENSIONS)]
    return [round(zlib.crc32(seed) / 2**31 - 1, 6) for seed in seeds]
