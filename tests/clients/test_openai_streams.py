"""Streams of the openai library: each event arrives when the model sends it, not later."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.clients.model_server import ModelServer
from tests.clients.openai_api import WORDS
from tests.clients.openai_client import MESSAGES, TEXT, client, told
from tests.clients.ways import Way, Ways, alike, alike_async, gone_after
from tests.process.harness import Gateway

USERS = 50
ROUNDS = 3


def test_each_event_of_a_chat_arrives_before_the_next_is_sent(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        header, stream = way.open_stream()
        chunks: list[object] = []
        with client(way) as ai:
            for chunk in ai.chat.completions.create(
                model="m",
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
                extra_headers=header,
            ):
                chunks.append(chunk)
                stream.confirm()
        return chunks

    chunks = alike(ways, use)
    assert len(chunks) == 1 + len(WORDS) + 2  # the role, the words, the end, the usage
    last = chunks[-1]
    assert isinstance(last, openai.types.chat.ChatCompletionChunk)
    assert last.usage is not None


def test_streams_of_completions_and_responses_are_the_same(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found: list[object] = []
        with client(way) as ai:
            header, stream = way.open_stream()
            for part in ai.completions.create(
                model="m", prompt="p", stream=True, extra_headers=header
            ):
                found.append(part)
                stream.confirm()
            header, stream = way.open_stream()
            for event in ai.responses.create(
                model="m", input="p", stream=True, extra_headers=header
            ):
                found.append(event)
                stream.confirm()
        return found

    found = alike(ways, use)
    kinds = [getattr(one, "type", "") for one in found]
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == len(WORDS)


async def test_the_library_on_a_loop_streams_the_same(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        header, stream = way.open_stream()
        chunks: list[object] = []
        async with (
            AsyncOpenAI(base_url=f"{way.url}/v1", api_key="k", max_retries=0) as ai,
            await ai.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, extra_headers=header
            ) as answer,
        ):
            async for chunk in answer:
                chunks.append(chunk)
                stream.confirm()
        return chunks

    assert len(await alike_async(ways, use)) == 1 + len(WORDS) + 1
    await _generators_closed()


def cut_stream(url: str) -> tuple[list[object], Exception]:
    """What comes of a stream that the model breaks off, and the exception at its end."""
    chunks: list[object] = []
    with client(url) as ai:
        stream = ai.chat.completions.create(model="cut", messages=MESSAGES, stream=True)
        with pytest.raises(Exception) as caught:  # whichever it is directly
            chunks.extend(stream)
    return chunks, caught.value


def test_P29_a_stream_that_the_model_cuts_raises_the_same_exception(ways: Ways) -> None:
    def use(way: Way) -> tuple[object, ...]:
        chunks, error = cut_stream(way.url)
        said = told(error) if isinstance(error, openai.APIError) else (type(error), str(error))
        return chunks, said

    chunks, _ = alike(ways, use)
    assert isinstance(chunks, list)
    assert len(chunks) == 1


def test_P29_where_the_gateway_knows_the_dialect_it_says_why_a_stream_ends(ways: Ways) -> None:
    chunks, error = cut_stream(f"{ways.gateway.url}/spoken")
    assert len(chunks) == 1
    assert isinstance(error, openai.APIError)
    assert error.code == "stream_cut"


def test_closing_a_stream_midway_stops_the_model(ways: Ways) -> None:
    def use(way: Way) -> object:
        header, stream = way.open_stream()
        with client(way) as ai:
            answer = ai.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, extra_headers=header
            )
            first = next(answer)
            stream.confirm()
            second = next(answer)
            assert not stream.gone.is_set()
            answer.close()
            assert gone_after(stream), "the model works on for a client that has left"
            after = ai.embeddings.create(model="m", input="the client is as good as new")
        return first, second, after

    alike(ways, use)


def test_requests_and_streams_one_after_the_other_use_one_connection(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found: list[object] = []
        with way.relay() as relay:
            with client(relay.url) as ai:
                for number in range(10):
                    found.append(ai.embeddings.create(model="m", input=f"{number}"))
                    chat = ai.chat.completions.create(model="m", messages=MESSAGES, stream=True)
                    found += list(chat)
            # The library gives up a connection on which the end of a stream is late.
            assert relay.connections <= 10
        return found

    alike(ways, use)


async def _generators_closed() -> None:
    """The library leaves generators to the collector, which closes them in tasks of their own."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        await asyncio.wait(tasks, timeout=5)


# -- many users ------------------------------------------------------------------


async def _ask(ai: AsyncOpenAI, user: str, models: list[ModelServer], number: int) -> set[str]:
    """The versions that answered one streaming request, in the words of model and gateway."""
    name = f"many-{user}-{number}"
    answer = await ai.chat.completions.with_raw_response.create(
        model="m",
        messages=MESSAGES,
        stream=True,
        extra_headers={"X-Stream": name, "X-User-Id": user},
    )
    said = {"v1": "stable", "v2": "canary"}[answer.headers["x-graygate-version"]]
    found, text = {said}, ""
    async with answer.parse() as chunks:
        async for chunk in chunks:
            found.add(str(chunk.system_fingerprint))
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            for model in models:  # whichever it was
                model.stream(name).confirm()
    assert text == TEXT
    return found


async def test_fifty_streaming_users_at_once_stay_on_their_versions(
    gateway: Gateway, models: tuple[ModelServer, ModelServer]
) -> None:
    url = f"http://{gateway.host}:{gateway.port}/split/v1"
    users = [f"user-{number}" for number in range(USERS)]
    met: dict[str, set[str]] = {user: set() for user in users}
    for number in range(ROUNDS):  # on new connections each time, so other workers take them
        async with AsyncOpenAI(base_url=url, api_key="k", max_retries=0, timeout=30) as ai:
            tasks = [asyncio.create_task(_ask(ai, user, list(models), number)) for user in users]
            for user, found in zip(users, await asyncio.gather(*tasks), strict=True):
                met[user] |= found
    await _generators_closed()
    assert all(len(versions) == 1 for versions in met.values()), met
    assert {version for versions in met.values() for version in versions} == {"stable", "canary"}


def test_all_streams_are_open_at_the_same_time(
    gateway: Gateway, models: tuple[ModelServer, ModelServer]
) -> None:
    """No stream waits for another one: every client holds its first event, none has its second."""
    url = f"http://{gateway.host}:{gateway.port}/v1"
    with OpenAI(base_url=url, api_key="k", max_retries=0, timeout=30) as ai:
        open_streams: list[tuple[Any, str]] = []
        for number in range(USERS):
            name = f"open-{number}"
            answer = ai.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, extra_headers={"X-Stream": name}
            )
            next(answer)
            open_streams.append((answer, name))
        for answer, name in open_streams:
            for _ in range(len(WORDS) + 3):
                models[0].stream(name).confirm()
            assert sum(1 for _ in answer) == len(WORDS) + 1
