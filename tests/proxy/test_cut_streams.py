"""P-29: an answer that is not whole never looks whole."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.proxy.link import Ending, until
from tests.proxy.message import Request, read_chunk, read_head
from tests.proxy.model import OK, ModelLink
from tests.proxy.scripts import EVENTS, cut
from tests.proxy.side import GET, Client, Side

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = HEAD + b"Content-Length: 100\r\n\r\npart"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"
EVENT = b"data: one\n\n"
STREAM = EVENTS + b"b\r\n" + EVENT + b"\r\n"


async def begun(side: Side, answer: bytes, ending: Ending, request: bytes = GET) -> Client:
    """A client that has what there was of the answer, before the model ended it."""
    may_end = asyncio.Event()
    side.model.answer = cut(answer, ending, may_end)
    client = await side.dial()
    client.send(request)
    head = await read_head(client)
    assert head.status == 200
    last = answer.rsplit(b"\r\n\r\n", 1)[1].strip(b"\r\n").rpartition(b"\r\n")[2]
    await client.when(lambda: last in client.rest, f"{last!r}")
    may_end.set()
    return client


@pytest.mark.parametrize("ending", Ending)
async def test_P29_an_answer_shorter_than_its_length_is_cut(side: Side, ending: Ending) -> None:
    client = await begun(side, LENGTH, ending)
    assert await client.to_end(None) == b"part"
    await until(lambda: side.errors() == {"stream_cut": 1}, "it is counted")
    await until(lambda: side.in_flight() == 0, "it is over")


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize(
    "rest", [b"", b"4\r\n", b"4\r\nmo", b"4\r\nmore", b"4\r\nmore\r", b"0", b"0\r\n", b"0\r\n\r"]
)
async def test_P29_an_answer_without_its_last_chunk_is_cut(
    side: Side, ending: Ending, rest: bytes
) -> None:
    client = await begun(side, CHUNKED, Ending.FIN) if not rest else await half(side, rest, ending)
    said = await client.to_end(None)
    assert said.startswith(b"4\r\npart\r\n") and not said.endswith(b"0\r\n\r\n")
    await until(lambda: side.errors() == {"stream_cut": 1}, "it is counted")


async def half(side: Side, rest: bytes, ending: Ending) -> Client:
    """As `begun`, where the last bytes may be held back by the gateway."""

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(CHUNKED)
        await until(lambda: b"part" in client.received, "the client has the first chunk")
        link.send(rest)
        await link.flush()
        link.close() if ending is Ending.FIN else link.reset()

    side.model.answer = script
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    return client


async def test_P29_a_reset_is_not_the_end_of_an_answer_that_ends_with_its_connection(
    side: Side,
) -> None:
    client = await begun(side, HEAD + b"\r\npart", Ending.RESET)
    said = await client.to_end(None)
    assert said == b"4\r\npart\r\n"


async def test_P29_a_fin_is_the_end_of_an_answer_that_ends_with_its_connection(side: Side) -> None:
    side.model.answer = cut(HEAD + b"\r\npart", Ending.FIN)
    client = await side.dial()
    assert (await client.ask()).body == b"part"
    assert side.errors() == {}


@pytest.mark.parametrize("answer", [CHUNKED, HEAD + b"\r\npart"], ids=["chunked", "until close"])
async def test_P29_a_client_of_http_1_0_is_reset_when_an_answer_was_cut_off(
    side: Side, answer: bytes
) -> None:
    client = await begun(side, answer, Ending.RESET, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    await client.to_end(Ending.RESET)


async def test_P29_after_a_cut_the_client_connection_is_gone_and_the_models_too(side: Side) -> None:
    client = await begun(side, LENGTH, Ending.FIN, GET + GET)
    await client.to_end(None)
    side.model.answer = OK
    assert (await side.ask()).status == 200
    assert len(side.model.links) == 2
    assert len(side.model.requests) == 2, "the pipelined one was never sent"


async def test_P29_a_client_of_http_1_0_that_ends_its_side_gets_no_regular_end(side: Side) -> None:
    side.model.answer = cut(CHUNKED, Ending.FIN, asyncio.Event())  # the model never ends it
    client = await side.dial()
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    await client.through(b"part")
    client.finish()
    await client.to_end(Ending.RESET)


async def test_P29_a_worker_that_stops_gives_a_client_of_http_1_0_no_regular_end(
    side: Side,
) -> None:
    side.model.answer = cut(CHUNKED, Ending.FIN, asyncio.Event())  # the model never ends it
    client = await side.dial()
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    await client.through(b"part")
    await side.drain(0)
    await client.to_end(Ending.RESET)


# What the gateway says where it can still say something.


async def test_C3_an_event_stream_of_openai_ends_with_an_error_event(side: Side) -> None:
    side.use(side.spec(dialect="openai"))
    client = await begun(side, STREAM, Ending.RESET)
    assert await read_chunk(client) == EVENT
    rest = client.rest
    if rest or client.ending is None:
        await client.when(lambda: client.ending is not None, "the end")
        rest = client.rest
    assert not rest.endswith(b"0\r\n\r\n") and b"[DONE]" not in rest
    if rest:
        event = await read_chunk(client)
        assert event.startswith(b"data: ") and event.endswith(b"\n\n")
        error = json.loads(event.removeprefix(b"data: "))["error"]
        assert set(error) >= {"message", "type", "param", "code"} and error["code"]
        assert b"127.0.0.1" not in event
        assert await client.to_end(None) == b""


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "kserve", "problem"])
async def test_C3_an_error_event_comes_only_between_events(side: Side, dialect: str) -> None:
    side.use(side.spec(dialect=dialect))
    client = await begun(side, EVENTS + b"9\r\ndata: on\n\r\n", Ending.RESET)
    said = await client.to_end(None)
    assert said == b"9\r\ndata: on\n\r\n"


async def test_C3_nothing_is_put_into_other_streams(side: Side) -> None:
    side.use(side.spec(dialect="openai"))
    client = await begun(side, CHUNKED, Ending.RESET)
    assert await client.to_end(None) == b"4\r\npart\r\n"


async def test_C3_the_end_of_a_stream_is_the_models(side: Side) -> None:
    side.use(side.spec(dialect="openai"))
    done = b"data: [DONE]\n\n"
    side.model.answer = STREAM + b"e\r\n" + done + b"\r\n0\r\n\r\n"
    answer = await side.ask()
    assert answer.body == EVENT + done
    side.model.answer = STREAM + b"0\r\n\r\n"
    assert (await side.ask()).body == EVENT  # never invented


async def test_C3_each_event_leaves_at_once_and_in_its_own_chunk(side: Side) -> None:
    events: asyncio.Queue[bytes] = asyncio.Queue()

    async def stream(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS)
        while event := await events.get():
            link.send(b"%x\r\n%b\r\n" % (len(event), event))
        link.send(b"0\r\n\r\n")

    side.model.answer = stream
    client = await side.dial()
    client.send(GET)
    head = await read_head(client)  # before there is any event
    assert head.one("content-type") == "text/event-stream"
    for number in range(3):
        event = b"data: %d\n\n" % number
        await events.put(event)
        assert await read_chunk(client) == event
    await events.put(b"")
    assert await client.exactly(5) == b"0\r\n\r\n"


async def test_P29_a_model_that_falls_silent_is_cut_off(side: Side) -> None:
    async def stalling(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(CHUNKED)
        await link.to_end(None)
        link.close()

    side.model.answer = stalling
    side.use(side.spec(timeouts={"idle": 0.2}))
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    assert await client.to_end(None) == b"4\r\npart\r\n"
    await until(lambda: side.errors().get("timeout") == 1, "it is counted as a timeout")
    await until(lambda: side.model.links[0].ending is not None, "the model hears of it")


async def test_P29_a_stream_that_takes_too_long_in_all_is_cut_off(side: Side) -> None:
    async def endless(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(CHUNKED)
        while link.ending is None:
            link.send(b"4\r\nmore\r\n")
            await asyncio.sleep(0.01)  # the pace of the model, nothing waits for it
        link.close()

    side.model.answer = endless
    side.use(side.spec(timeouts={"total": 0.3, "idle": 5}))
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    assert not (await client.to_end(None)).endswith(b"0\r\n\r\n")


async def test_P29_an_upload_that_breaks_off_never_looks_complete_to_the_model(side: Side) -> None:
    client = await side.dial()
    part = b"4\r\npart\r\n"
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + part)
    await until(lambda: part in side.model.received, "the model has the first chunk")
    client.close()
    await until(lambda: side.model.links[0].ending is not None, "the model hears of it")
    assert side.model.received.endswith(part)
    assert side.model.requests == []


async def test_P29_an_upload_shorter_than_its_length_is_not_filled_up(side: Side) -> None:
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\npart")
    await until(lambda: b"part" in side.model.received, "the model has the first bytes")
    client.finish()
    await until(lambda: side.model.links[0].ending is not None, "the model hears of it")
    assert side.model.received.endswith(b"\r\n\r\npart")
    assert side.model.requests == []
