"""The openai library, blocking and on a loop: answers, uploads, errors, retries."""

from __future__ import annotations

import io
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.clients.openai_api import FAILURES
from tests.clients.openai_client import MESSAGES, TEXT, client, failure, told
from tests.clients.ways import Way, Ways, alike, alike_async, fields, gone_after
from tests.process.harness import Gateway


def test_chat_completions_embeddings_and_models_are_the_same(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with client(way, organization="org-1", project="p") as ai:
            chat = ai.chat.completions.create(
                model="m", messages=MESSAGES, temperature=0.2, user="alice"
            )
            text = ai.completions.create(model="m", prompt=["a", "b"])
            vectors = ai.embeddings.create(model="m", input=["x" * 7, "☂"])
            models = list(ai.models.list())
            large = ai.models.retrieve("org/large:8b")
            return [chat, text, vectors, models, large]

    chat, *_ = alike(ways, use)
    assert isinstance(chat, openai.types.chat.ChatCompletion)
    assert chat.choices[0].message.content == TEXT


def test_the_raw_answer_has_the_same_fields_and_bytes(ways: Ways) -> None:
    def use(way: Way) -> tuple[object, ...]:
        with client(way) as ai:
            raw = ai.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
            answer = raw.http_response
            return raw.status_code, fields(answer.headers.multi_items()), answer.content

    status, *_ = alike(ways, use)
    assert status == 200


def test_a_large_prompt_arrives_whole(ways: Ways) -> None:
    prompt: Any = [{"role": "user", "content": "gray ☂ " * 400_000}]

    def use(way: Way) -> object:
        with client(way) as ai:
            return ai.chat.completions.create(model="m", messages=prompt)

    alike(ways, use)


def test_uploads_and_downloads_arrive_byte_for_byte(ways: Ways) -> None:
    sound = bytes(range(256)) * 8192

    def use(way: Way) -> list[object]:
        with client(way) as ai:
            text = ai.audio.transcriptions.create(
                model="m", file=("talk ☂.wav", io.BytesIO(sound), "audio/wav"), language="en"
            )
            file = ai.files.create(file=("set.jsonl", sound), purpose="batch")
            content = ai.files.content(file.id).read()
            return [text, file, content]

    text, file, content = alike(ways, use)
    assert isinstance(file, openai.types.FileObject)
    assert file.bytes == len(sound)
    assert file.id in str(text)
    assert content == bytes(range(256)) * 4096


async def test_the_library_on_a_loop_gets_the_same(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        async with AsyncOpenAI(base_url=f"{way.url}/v1", api_key="k", max_retries=0) as ai:
            chat = await ai.chat.completions.create(model="m", messages=MESSAGES)
            vectors = await ai.embeddings.create(model="m", input="x")
            with pytest.raises(openai.RateLimitError) as caught:
                await ai.embeddings.create(model="limited", input="x")
            return [chat, vectors, told(caught.value)]

    await alike_async(ways, use)


# -- errors ----------------------------------------------------------------------


@pytest.mark.parametrize("model", FAILURES)
def test_an_error_of_the_model_raises_the_same_exception(ways: Ways, model: str) -> None:
    def use(way: Way) -> tuple[object, ...]:
        with client(way) as ai:
            return failure(lambda: ai.chat.completions.create(model=model, messages=MESSAGES))

    kind, *_ = alike(ways, use)
    assert isinstance(kind, type)
    assert issubclass(kind, openai.APIStatusError)


def test_an_error_before_a_stream_raises_the_same_exception(ways: Ways) -> None:
    def use(way: Way) -> tuple[object, ...]:
        with client(way) as ai:
            create = ai.chat.completions.create
            return failure(lambda: create(model="limited", messages=MESSAGES, stream=True))

    kind, *_ = alike(ways, use)
    assert kind is openai.RateLimitError


def test_the_library_retries_after_429_as_it_does_directly(ways: Ways) -> None:
    def use(way: Way) -> object:
        header, stream = way.open_stream()
        with client(way, max_retries=2) as ai:
            answer = ai.embeddings.create(model="limited-once", input="x", extra_headers=header)
        assert stream.attempts == 2
        return answer

    alike(ways, use)


def test_a_client_that_waits_no_longer_raises_a_timeout_and_the_model_learns_of_it(
    ways: Ways,
) -> None:
    def use(way: Way) -> tuple[object, ...]:
        header, stream = way.open_stream()
        with client(way, timeout=0.3) as ai:
            create = ai.chat.completions.create
            found = failure(lambda: create(model="silent", messages=MESSAGES, extra_headers=header))
        assert stream.begun.is_set()
        assert gone_after(stream), "the model works on for a client that has left"
        return found

    kind, *_ = alike(ways, use)
    assert kind is openai.APITimeoutError


def test_a_model_that_is_down_raises_a_server_error_that_the_library_can_read(
    gateway: Gateway,
) -> None:
    with client(f"http://{gateway.host}:{gateway.port}/down") as ai:
        with pytest.raises(openai.InternalServerError) as caught:
            ai.chat.completions.create(model="m", messages=MESSAGES)
        error = caught.value
        assert error.status_code == 502
        assert error.code == "upstream_connect_failed"
        assert error.request_id
