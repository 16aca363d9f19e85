"""The aiohttp client, the one that can speak and listen at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.clients.ways import Way, Ways, alike_async, fields, gone_after
from tests.clients.web_api import BLOCK

LIMIT = aiohttp.ClientTimeout(total=20)
PIECES = (b"one", b"two", b"three")


def session(way: Way, **options: bool) -> aiohttp.ClientSession:
    jar = aiohttp.CookieJar(unsafe=True)
    return aiohttp.ClientSession(way.url, timeout=LIMIT, cookie_jar=jar, **options)  # type: ignore[arg-type]


async def told(answer: aiohttp.ClientResponse) -> tuple[object, ...]:
    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers]
    return answer.status, answer.reason, fields(headers), await answer.read()


async def test_answers_of_all_kinds_are_the_same(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        found: list[object] = []
        async with session(way, auto_decompress=False) as client:
            for path in ("/fields", "/gzip", "/big/chunked", "/status/404", "/cookies/set"):
                async with client.get(path) as answer:
                    found.append(await told(answer))
            async with client.post("/echo", data=BLOCK, compress="gzip") as answer:
                found.append(await told(answer))
            async with client.head("/files/weights.bin") as answer:
                found.append(await told(answer))
            form = aiohttp.FormData({"model": "m", "note": "☂"})
            form.add_field("file", BLOCK, filename="a.wav", content_type="audio/wav")
            async with client.post("/v1/audio/transcriptions", data=form) as answer:
                found.append((await answer.json())["text"].count("Content-Type"))
        return found

    await alike_async(ways, use)


async def test_answer_and_request_flow_at_the_same_time(ways: Ways) -> None:
    """Each piece is sent when the echo of the one before has come back."""

    async def use(way: Way) -> bytes:
        echoes: asyncio.Queue[bytes] = asyncio.Queue()

        async def pieces() -> AsyncIterator[bytes]:
            for number, piece in enumerate(PIECES):
                if number:
                    await echoes.get()
                yield piece

        heard = b""
        async with (
            session(way) as client,
            client.post("/conversation", data=pieces()) as answer,
        ):
            async for part in answer.content.iter_any():
                heard += part
                echoes.put_nowait(part)
        return heard

    assert await alike_async(ways, use) == b"ONETWOTHREE"


async def test_failures_raise_the_same_exceptions(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        async with session(way) as client:
            with pytest.raises(aiohttp.ClientResponseError) as failed:
                async with client.get("/status/503", raise_for_status=True):
                    pass
            with pytest.raises(aiohttp.ClientError) as short:
                async with client.get("/short") as answer:
                    await answer.read()
        return [failed.value.status, failed.value.message, type(short.value), str(short.value)]

    found = await alike_async(ways, use)
    assert found[2] is aiohttp.ClientPayloadError


async def test_a_cancelled_task_stops_the_model(ways: Ways) -> None:
    async def use(way: Way) -> None:
        header, stream = way.open_stream()

        async def read(client: aiohttp.ClientSession) -> None:
            async with client.post("/api/chat", json={"model": "m"}, headers=header) as answer:
                await answer.read()

        async with session(way) as client:
            reading = asyncio.create_task(read(client))
            assert await asyncio.to_thread(stream.begun.wait, 10)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert await asyncio.to_thread(gone_after, stream)

    await alike_async(ways, use)
