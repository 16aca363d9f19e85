"""What may come over a connection, and that nothing of it can hang or confuse a link."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.errors import StoreError, StoreUnavailable, UsageError
from gateway.state.link import Link
from gateway.state.wire import Argument
from tests.state.fake_store import Guest, Story, told

MIX = (
    b"+OK\r\n:7\r\n$3\r\nabc\r\n*2\r\n$1\r\na\r\n_\r\n%1\r\n$1\r\nk\r\n,1.5\r\n"
    b"-ERR no\r\n#t\r\n$-1\r\n"
)
MIX_VALUES: list[object] = [b"OK", 7, b"abc", [b"a", None], {b"k": 1.5}, True, None]
INVALIDATE = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\ngray:x\r\n"
FLUSHED = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
SHORT_SECONDS = 0.15  # a deadline that a test waits for


def says(*parts: bytes) -> Story:
    """Answer each command with the next part, then stay silent."""

    async def story(guest: Guest) -> None:
        for part in parts:
            await guest.hear()
            await guest.say(part)
        await guest.until_gone()

    return story


async def failure_of(link: Link, *args: Argument) -> str:
    """Why a call failed, and that the link then is dead for good."""
    with pytest.raises(StoreUnavailable) as caught:
        await link.call(*(args or ("PING",)))
    assert link.is_closed
    await asyncio.wait_for(link.wait_closed(), 5)
    with pytest.raises(StoreUnavailable, match=re.escape(str(caught.value))):
        await link.call("PING")
    return str(caught.value)


class TestReplies:
    async def test_every_type_of_reply_arrives_as_a_plain_value(self) -> None:
        async with told(says(MIX)) as link:
            values = await link.pipeline([("PING",)] * 8)
            [error] = [value for value in values if isinstance(value, StoreError)]
            values.remove(error)
            assert (values, error.reply) == (MIX_VALUES, "ERR no")

    async def test_replies_may_arrive_byte_by_byte_with_pushes_between(self) -> None:
        pushed: list[object] = []

        async def story(guest: Guest) -> None:
            await guest.hear()
            await guest.say_slowly(INVALIDATE + MIX + FLUSHED + b"+END\r\n")
            await guest.until_gone()

        async with told(story, on_push=lambda kind, keys: pushed.append(keys)) as link:
            values = await link.pipeline([("PING",)] * 9)
            assert values[-1] == b"END"
            assert values[:5] == MIX_VALUES[:5]
            assert pushed == [[b"gray:x"], None]

    async def test_concurrent_calls_get_their_own_replies(self) -> None:
        async def story(guest: Guest) -> None:
            while words := await guest.hear():
                await guest.say(b"+" + words[1] + b"\r\n")

        async with told(story) as link:
            replies = await asyncio.gather(*(link.call("ECHO", i) for i in range(100)))
            assert replies == [str(i).encode() for i in range(100)]

    async def test_the_reply_to_a_cancelled_call_goes_to_nobody_else(self) -> None:
        may_answer = asyncio.Event()
        heard = asyncio.Event()

        async def story(guest: Guest) -> None:
            await guest.hear()
            heard.set()
            await may_answer.wait()
            await guest.say(b"+first\r\n")
            await guest.hear()
            await guest.say(b"+second\r\n")
            await guest.until_gone()

        async with told(story) as link:
            first = asyncio.create_task(link.call("ECHO", "first"))
            await heard.wait()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            may_answer.set()
            assert await link.call("ECHO", "second") == b"second"


class TestPushes:
    async def test_a_push_arrives_while_nobody_asks(self) -> None:
        pushed: asyncio.Queue[tuple[bytes, object]] = asyncio.Queue()

        async def story(guest: Guest) -> None:
            await guest.say(INVALIDATE + b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n" + FLUSHED)
            await guest.until_gone()

        async with told(story, on_push=lambda kind, it: pushed.put_nowait((kind, it))):
            got = [await asyncio.wait_for(pushed.get(), 5) for _ in range(3)]
        assert got == [
            (b"invalidate", [b"gray:x"]),
            (b"message", [b"c", b"m"]),
            (b"invalidate", None),
        ]

    async def test_pushes_to_nobody_are_dropped(self) -> None:
        async with told(says(INVALIDATE + b"+PONG\r\n")) as link:
            assert await link.call("PING") == b"PONG"

    @pytest.mark.parametrize(
        "push",
        [
            b">0\r\n",
            b">1\r\n:1\r\n",
            b">1\r\n$10\r\ninvalidate\r\n",
            b">2\r\n+invalidate\r\n:1\r\n",
        ],
    )
    async def test_a_push_of_unknown_form_ends_the_link(self, push: bytes) -> None:
        async with told(says(push)) as link:
            assert "a push of unknown form" in await failure_of(link)


class TestNonsense:
    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b":abc\r\n",
            b"$999999999999999999999999\r\n",
            b"$-7\r\n",
            b"*4294967295\r\n",
            b"%1\r\n*1\r\n$1\r\na\r\n:1\r\n",
            b"*1\r\n" * 20 + b"!",
            b"\x00\x00\x00",
        ],
    )
    async def test_a_malformed_reply_ends_the_link(self, data: bytes) -> None:
        async with told(says(data)) as link:
            assert "does not speak the Redis protocol" in await failure_of(link)

    async def test_a_reply_that_nobody_asked_for_ends_the_link(self) -> None:
        async with told(says(b"+PONG\r\n+PONG\r\n")) as link:
            assert await link.call("PING") == b"PONG"
            await asyncio.wait_for(link.wait_closed(), 5)
            assert "a reply that nobody asked for" in str(link.failure)

    async def test_an_error_that_nobody_asked_for_is_the_reason_of_the_end(self) -> None:
        async with told(says(b"+PONG\r\n-ERR max number of clients reached\r\n")) as link:
            await link.call("PING")
            await asyncio.wait_for(link.wait_closed(), 5)
            assert "raise its maxclients" in str(link.failure)

    async def test_a_tls_alert_is_recognised(self) -> None:
        async with told(says(b"\x15\x03\x01\x00\x02\x02\x46")) as link:
            assert "speaks TLS; use a rediss:// URL" in await failure_of(link)


class TestEnds:
    async def test_half_a_reply_and_then_silence_ends_at_the_deadline(self) -> None:
        async with told(says(b"$5\r\nab"), timeout_seconds=SHORT_SECONDS) as link:
            assert "did not answer within 0.15 s" in await failure_of(link)

    async def test_a_trickle_does_not_move_the_deadline(self) -> None:
        async def story(guest: Guest) -> None:
            await guest.hear()
            await guest.say(b"$1000000\r\n")
            while True:
                await guest.say(b"x")
                await asyncio.sleep(0.01)

        async with told(story, timeout_seconds=SHORT_SECONDS) as link:
            assert "did not answer within" in await failure_of(link)

    async def test_a_close_in_the_middle_of_a_reply_is_told_as_that(self) -> None:
        async def story(guest: Guest) -> None:
            await guest.hear()
            await guest.say(b"*2\r\n$5\r\nab")

        async with told(story) as link:
            assert "closed the connection in the middle of a reply" in await failure_of(link)

    async def test_all_who_wait_fail_together_when_one_meets_the_deadline(self) -> None:
        async with told(says(), timeout_seconds=30) as link:
            patient = [asyncio.create_task(link.call("GET", i)) for i in range(3)]
            with pytest.raises(StoreUnavailable):
                await link.call("PING", timeout_seconds=SHORT_SECONDS)
            results = await asyncio.gather(*patient, return_exceptions=True)
            assert [type(result) for result in results] == [StoreUnavailable] * 3

    async def test_close_frees_those_who_wait_and_may_be_repeated(self) -> None:
        async with told(says(), timeout_seconds=30) as link:
            waiting = asyncio.create_task(link.call("PING"))
            await asyncio.sleep(0)
            link.close()
            link.close()
            with pytest.raises(StoreUnavailable, match="was closed"):
                await waiting
            assert link.failure is None
            assert repr(link).endswith("closed>")

    async def test_closing_from_inside_a_push_is_allowed(self) -> None:
        links: list[Link] = []
        async with told(says(INVALIDATE + MIX), on_push=lambda *_: links[0].close()) as link:
            links.append(link)
            with pytest.raises(StoreUnavailable):
                await link.call("PING")


class TestSending:
    async def test_a_server_that_reads_nothing_cannot_hold_a_big_pipeline(self) -> None:
        async def deaf(guest: Guest) -> None:
            await asyncio.Event().wait()

        async with told(deaf, timeout_seconds=SHORT_SECONDS) as link:
            with pytest.raises(StoreUnavailable, match="reads too slowly"):
                await link.pipeline([("SET", "k", b"x" * 100_000)] * 200)
            assert link.is_closed

    async def test_a_pipeline_cancelled_half_sent_ends_the_link(self) -> None:
        heard = asyncio.Event()

        async def deaf(guest: Guest) -> None:
            await guest.hear()
            heard.set()
            await asyncio.Event().wait()

        async with told(deaf) as link:
            sending = asyncio.create_task(link.pipeline([("SET", "k", b"x" * 100_000)] * 200))
            await heard.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert "given up half sent" in str(link.failure)

    async def test_a_call_never_gets_between_the_pieces_of_a_pipeline(self) -> None:
        heard: list[bytes] = []
        has_begun, may_go_on = asyncio.Event(), asyncio.Event()

        async def story(guest: Guest) -> None:
            while words := await guest.hear():
                heard.append(words[0])
                has_begun.set()
                await may_go_on.wait()
                await guest.say(b"+" + words[0] + b"\r\n")

        async with told(story) as link:
            big = asyncio.create_task(link.pipeline([("SET", "k", b"x" * 100_000)] * 200))
            await has_begun.wait()
            small = asyncio.create_task(link.call("PING"))
            await asyncio.sleep(0)
            may_go_on.set()
            assert await small == b"PING"
            assert await big == [b"SET"] * 200
        assert heard == [b"SET"] * 200 + [b"PING"]

    async def test_other_tasks_run_while_a_long_pipeline_is_made_ready(self) -> None:
        turns = 0
        first_heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def story(guest: Guest) -> None:
            await guest.hear()
            first_heard.set_result(turns)
            await guest.until_gone()

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with told(story) as link:
            task = asyncio.create_task(other())
            long = asyncio.create_task(link.pipeline([("SADD", "s", i) for i in range(50_000)]))
            assert await first_heard >= 20  # a turn for each piece of 64 KiB, before any is sent
            link.close()
            with pytest.raises(StoreUnavailable):
                await long
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def test_what_cannot_be_encoded_is_refused_before_anything_is_sent(self) -> None:
        async with told(says(b"+PONG\r\n")) as link:
            with pytest.raises(UsageError):
                await link.pipeline([("SET", "k", "fine"), ("SET", "k", "\ud800")])
            assert await link.call("PING") == b"PONG"

    async def test_no_commands_need_no_server(self) -> None:
        async with told(says()) as link:
            assert await link.pipeline([]) == []
            assert await link.transaction([]) == []
