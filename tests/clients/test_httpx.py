"""The httpx library, blocking and on a loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.clients.other_apis import WORDS
from tests.clients.ways import Way, Ways, alike, alike_async, fields, gone_after
from tests.clients.web_api import BLOCK

SECONDS = 20.0
CHAT: dict[str, Any] = {"model": "m", "messages": [], "stream": True}


def told(answer: httpx.Response) -> tuple[object, ...]:
    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.headers.raw]
    return answer.status_code, answer.reason_phrase, fields(headers), answer.content


def test_answers_of_all_kinds_are_the_same(ways: Ways) -> None:
    paths = ("/fields", "/gzip", "/big/length", "/big/chunked", "/status/204", "/status/500")

    def use(way: Way) -> list[object]:
        with httpx.Client(base_url=way.url, timeout=SECONDS) as client:
            found: list[object] = [told(client.get(path)) for path in paths]
            found.append(told(client.head("/files/weights.bin")))
            found.append(told(client.post("/echo", content=BLOCK)))
            found.append(told(client.request("QUERY", "/echo", json={"a": 1})))
            found.append(told(client.get("/cookies/set")))
            found.append(told(client.get("/echo")))
            return [*found, sorted(client.cookies.jar, key=str)[0].value]

    alike(ways, use)


def test_anthropic_events_arrive_one_by_one_in_reads_of_their_own(ways: Ways) -> None:
    """The reads, not only the lines: what the model sends in one piece is one piece here too."""

    def use(way: Way) -> list[bytes]:
        header, stream = way.open_stream()
        reads: list[bytes] = []
        with (
            httpx.Client(timeout=SECONDS) as client,
            client.stream(
                "POST",
                way.url + "/v1/messages",
                json=CHAT,
                headers={**header, "anthropic-version": "2023-06-01", "x-api-key": "k"},
            ) as answer,
        ):
            for read in answer.iter_raw():
                reads.append(read)
                stream.confirm()
        return reads

    reads = alike(ways, use)
    assert len(reads) == len(WORDS) + 3
    assert all(read.endswith(b"\n\n") for read in reads)


def test_errors_and_plain_messages_of_anthropic_are_the_same(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with httpx.Client(base_url=way.url, timeout=SECONDS) as client:
            plain = client.post("/v1/messages", json={"model": "m"})
            failed = client.post("/v1/messages", json={"model": "overloaded"})
            with pytest.raises(httpx.HTTPStatusError) as caught:
                failed.raise_for_status()
            said = str(caught.value).replace(way.url, "")
            return [told(plain), told(failed), said]

    alike(ways, use)


def test_a_short_answer_raises_the_same_exception(ways: Ways) -> None:
    def use(way: Way) -> tuple[object, ...]:
        with pytest.raises(httpx.HTTPError) as caught:
            httpx.get(way.url + "/short", timeout=SECONDS)
        return type(caught.value), str(caught.value)

    kind, _ = alike(ways, use)
    assert kind is httpx.RemoteProtocolError


def test_uploads_stream_and_leaving_midway_is_noticed(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        header, stream = way.open_stream()

        def pieces() -> Iterator[bytes]:
            for number in range(4):
                yield b"%d" % number * 3000
                stream.wait_arrived()

        with httpx.Client(base_url=way.url, timeout=SECONDS) as client:
            answer = client.post("/upload", content=pieces(), headers=header)
            header, stream = way.open_stream()
            with client.stream("POST", "/v1/messages", json=CHAT, headers=header) as begun:
                first = next(begun.iter_lines())
            assert gone_after(stream)
        return [answer.json(), first]

    alike(ways, use)


async def test_many_requests_at_once_share_connections_on_a_loop(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        limits = httpx.Limits(max_connections=5)
        with way.relay() as relay:
            async with httpx.AsyncClient(
                base_url=relay.url, timeout=SECONDS, limits=limits
            ) as client:
                bodies = [b"%d" % number * 100 for number in range(60)]
                answers = await asyncio.gather(
                    *(client.post("/echo", content=body) for body in bodies)
                )
            assert [answer.content for answer in answers] == bodies
            assert relay.connections <= 5
        return sorted((told(answer) for answer in answers), key=repr)

    direct, gateway = await use(ways.direct), await use(ways.gateway)
    assert gateway == direct


async def test_a_stream_on_a_loop_flows_both_ways(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        header, stream = way.open_stream()

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(4):
                yield b"%d" % number * 3000
                await asyncio.to_thread(stream.wait_arrived)

        found: list[object] = []
        async with httpx.AsyncClient(base_url=way.url, timeout=SECONDS) as client:
            answer = await client.post("/upload", content=pieces(), headers=header)
            found.append(answer.json())
            header, stream = way.open_stream()
            async with client.stream("POST", "/api/chat", json=CHAT, headers=header) as lines:
                async for line in lines.aiter_lines():
                    found.append(json.loads(line))
                    stream.confirm()
        return found

    assert len(await alike_async(ways, use)) == 1 + len(WORDS)
