from __future__ import annotations

import pytest

from gateway.demo.answers import Completion, Json, embeddings, text_of


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"messages": [{"content": "first"}, {"content": " last "}]}, "last"),
        (
            {"messages": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]},
            "a",
        ),
        ({"messages": [{"content": None}]}, "None"),
        ({"messages": ["odd"]}, ""),
        ({"messages": []}, ""),
        ({"messages": 7}, ""),
        ({"prompt": ["a", "b"]}, "a b"),
        ({"prompt": "x" * 500}, "x" * 200),
        ({}, ""),
    ],
)
def test_what_was_asked_is_found_in_every_form(body: Json, text: str) -> None:
    assert text_of(body) == text


def completion(body: Json, *, chat: bool = True) -> Completion:
    return Completion("v1", body, chat=chat, serial=255, now=1_000)


def test_a_whole_answer_has_the_fields_of_the_api() -> None:
    assert completion({"model": "m", "messages": [{"content": "hi"}]}).whole() == {
        "object": "chat.completion",
        "id": "chatcmpl-00000000000000ff",
        "created": 1_000,
        "model": "m",
        "system_fingerprint": "demo-v1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": "Hello from v1! You said: hi"},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 6, "total_tokens": 7},
    }


@pytest.mark.parametrize("chat", [True, False])
def test_the_chunks_of_a_stream_add_up_to_the_whole(chat: bool) -> None:
    answer = completion({"prompt": "a  b c"}, chat=chat)
    choices = [event["choices"][0] for event in answer.events()]
    if chat:
        said = "".join(choice["delta"].get("content", "") for choice in choices)
    else:
        said = "".join(choice["text"] for choice in choices)
    assert said == "Hello from v1! You said: a  b c"
    assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] == "stop"


def test_usage_is_streamed_only_when_asked_for() -> None:
    asked = list(completion({"stream_options": {"include_usage": True}}).events())
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["completion_tokens"] == 3
    for options in (None, {}, "yes", {"include_usage": False}):
        events = completion({"stream_options": options}).events()
        assert not any("usage" in event for event in events)


def test_embeddings_depend_on_version_and_text_only() -> None:
    def vector(version: str, text: str) -> list[float]:
        found: list[float] = embeddings(version, {"input": text})["data"][0]["embedding"]
        return found

    assert vector("v1", "a") == vector("v1", "a")
    assert vector("v1", "a") != vector("v2", "a")
    assert vector("v1", "a") != vector("v1", "b")
    assert all(-1 <= number <= 1 for number in vector("v1", "a"))
