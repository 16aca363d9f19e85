"""WebSocket clients: the websockets library, aiohttp's, and the openai library's realtime."""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from openai import OpenAI
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.clients.other_apis import WORDS
from tests.clients.ways import Way, Ways, alike, alike_async, fields, gone_after
from tests.clients.web_api import BLOCK

SECONDS = 20.0
# Both are made from the client's random key.
_RANDOM = "sec-websocket-accept"


@contextmanager
def opened(way: Way, path: str = "/ws", **options: Any) -> Iterator[ClientConnection]:
    url = way.url.replace("http", "ws", 1) + path
    limits: dict[str, Any] = {"open_timeout": SECONDS, "close_timeout": SECONDS, **options}
    with connect(url, proxy=None, **limits) as socket:
        yield socket


def handshake(socket: ClientConnection) -> tuple[object, ...]:
    answer = socket.response
    assert answer is not None
    pairs = [(n, v) for n, v in answer.headers.raw_items() if n.lower() != _RANDOM]
    return answer.status_code, answer.reason_phrase, fields(pairs), socket.subprotocol


def test_messages_of_all_kinds_and_sizes_come_back(ways: Ways) -> None:
    messages: list[str | bytes] = ["", "☂", b"", b"\x00\xff", "t" * 70_000, BLOCK * 64]

    def use(way: Way) -> list[object]:
        with opened(way, max_size=None) as socket:
            found: list[object] = [handshake(socket), socket.recv(SECONDS)]
            for message in messages:
                socket.send(message)
                found.append(socket.recv(SECONDS))
        return found

    _, greeting, *echoes = alike(ways, use)
    assert greeting == "hello"
    assert echoes == messages


def test_the_handshake_negotiates_as_it_does_directly(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found: list[object] = []
        for options in (
            {"subprotocols": ["chat.v1", "chat.v2"]},
            {"subprotocols": ["unknown"]},
            {"compression": None},
            {"additional_headers": {"Authorization": "Bearer k", "Cookie": "a=1"}},
            {"origin": "https://app.example"},
        ):
            with opened(way, "/ws?model=m%20x", **options) as socket:
                found.append((handshake(socket), socket.recv(SECONDS)))
        return found

    alike(ways, use)


def test_pings_are_answered_by_the_model_itself(ways: Ways) -> None:
    def use(way: Way) -> object:
        with opened(way) as socket:
            assert socket.recv(SECONDS) == "hello"
            return socket.ping(b"are you there").wait(SECONDS)

    assert alike(ways, use) is True


def test_a_fragmented_message_arrives_whole(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with opened(way) as socket:
            socket.send(["one ", "two ", "three"])
            return [socket.recv(SECONDS), socket.recv(SECONDS)]

    assert alike(ways, use) == ["hello", "one two three"]


def test_the_close_codes_of_both_sides_arrive(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with opened(way) as socket:
            assert socket.recv(SECONDS) == "hello"
            socket.send("end")
            with pytest.raises(ConnectionClosedError) as caught:
                socket.recv(SECONDS)
            found: list[object] = [socket.close_code, socket.close_reason, str(caught.value)]
        header, stream = way.open_stream()
        with opened(way, additional_headers=header) as socket:
            assert socket.recv(SECONDS) == "hello"
            socket.close(4321, "enough")
        assert gone_after(stream)
        return [*found, stream.close_code]

    assert alike(ways, use)[::3] == [4001, 4321]


def test_a_refused_handshake_raises_the_same_exception(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found: list[object] = []
        for path in ("/ws/refused", "/echo", "/nowhere", "/redirect/404"):
            with pytest.raises(InvalidStatus) as caught, opened(way, path):
                pass
            answer = caught.value.response
            kept = fields(answer.headers.raw_items())
            found.append((str(caught.value), answer.status_code, kept, answer.body))
        return found

    alike(ways, use)


def test_a_client_that_vanishes_is_noticed_by_the_model(ways: Ways) -> None:
    def use(way: Way) -> None:
        header, stream = way.open_stream()
        with opened(way, additional_headers=header) as socket:
            assert socket.recv(SECONDS) == "hello"
            socket.socket.shutdown(sockets.SHUT_RDWR)
            assert gone_after(stream), "the model keeps a socket that nobody holds"

    alike(ways, use)


async def test_the_client_of_aiohttp_gets_the_same(ways: Ways) -> None:
    async def use(way: Way) -> list[object]:
        found: list[object] = []
        async with (
            aiohttp.ClientSession(way.url) as client,
            client.ws_connect("/ws", protocols=("chat.v1",), compress=15) as socket,
        ):
            found.append((await socket.receive()).data)
            for number in range(50):
                await socket.send_str(f"message {number}")
            found += [(await socket.receive()).data for _ in range(50)]
            await socket.send_str("end")
            last = await socket.receive()
            found += [last.type, socket.close_code, socket.protocol]
        return found

    assert (await alike_async(ways, use))[-2:] == [4001, "chat.v1"]


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")  # openai's
def test_a_realtime_session_of_the_openai_library_is_the_same(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found: list[object] = []
        base = way.url.replace("http", "ws", 1) + "/v1"
        with (
            OpenAI(api_key="k", base_url=f"{way.url}/v1", websocket_base_url=base) as ai,
            ai.realtime.connect(model="m") as session,
        ):
            found.append(session.recv())
            session.response.create()
            found += [session.recv() for _ in WORDS]
        return found

    created, *deltas = alike(ways, use)
    assert getattr(created, "type", "") == "session.created"
    assert [getattr(delta, "delta", "") for delta in deltas] == list(WORDS)
