"""Answers for the tests of comparators."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.release.compare.answer import Answer


def answer(body: bytes, content_type: str = "application/json", **changes: object) -> Answer:
    made = Answer(
        status=200,
        failure="",
        content_type=content_type,
        content_encoding="",
        size_bytes=len(body),
        digest=hash(body),
        body=body,
        is_truncated=False,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def document(value: object) -> Answer:
    return answer(json.dumps(value).encode())


def chat(text: str, finish: str = "stop", number: int = 1) -> Answer:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish,
    }
    return document({"id": f"chat-{number}", "created": number, "choices": [choice]})


def stream(*pieces: str) -> Answer:
    events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in pieces]
    body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    return answer(body.encode(), "text/event-stream; charset=utf-8")
