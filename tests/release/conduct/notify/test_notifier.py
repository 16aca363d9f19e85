"""Notices arrive, are tried again for a while, and never hold anything up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from gateway.config.channel import Channel
from gateway.config.secret import Secret
from gateway.release.conduct.notify.notice import Notice
from gateway.release.conduct.notify.notifier import MOST_WAITING, Notifier
from tests.release.conduct.notify.receivers import (
    HOST,
    NOTICE,
    channel,
    hooks,
    mail,
    mailbox,
    until,
)


@contextlib.asynccontextmanager
async def notifying(
    channels: Sequence[Channel], *, pauses: Sequence[float] = (0.0, 0.0), seconds: float = 5.0
) -> AsyncIterator[tuple[Notifier, list[str]]]:
    """A running notifier, and the ids of the notices that are done with."""
    notifier = Notifier(channels, pauses=pauses, send_seconds=seconds, clock=lambda: 1000.0)
    done: list[str] = []
    notifier.on_done(done.append)
    running = asyncio.create_task(notifier.run())
    try:
        yield notifier, done
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def notice(number: int, **fields: Any) -> Notice:
    return msgspec.structs.replace(NOTICE, id=f"r1-{number}", **fields)


async def test_a_notice_arrives_once_at_each_channel_that_is_named() -> None:
    async with hooks() as hook:
        team, other = channel(hook), channel(hook, name="other", url=hook.url("/other"))
        third = channel(hook, name="third", url=hook.url("/third"))
        async with notifying([team, other, third]) as (notifier, done):
            notifier.tell(NOTICE, ["team", "other", "team", "nobody"])
            notifier.tell(NOTICE, ["team", "other"])  # it waits already
            await until(lambda: done, "it is done")
            assert sorted(got.path for got in hook.got) == ["/hook", "/other"]
            assert done == ["r1-7"]


async def test_mail_arrives_with_subject_and_text() -> None:
    async with mailbox() as box, notifying([mail(box)]) as (notifier, done):
        notifier.tell(notice(1, text="line\r\nBcc: x@example.com"), ["mail"])
        await until(lambda: done, "it is done")
        (got,) = box.got
        assert got["Subject"] == "[graygate] ROLLED BACK: chat, v1 to v2"
        assert got["To"] == "a@example.com, b@example.com"
        assert got["X-Graygate-Notice"] == "r1-1"
        assert got["Bcc"] is None
        assert "graygate release status chat" in got.get_payload()


async def test_what_fails_is_tried_again_and_arrives_in_order() -> None:
    async with hooks() as hook, notifying([channel(hook)]) as (notifier, done):
        hook.answers = [(503, ""), (500, "")]
        for number in range(3):
            notifier.tell(notice(number), ["team"])
        await until(lambda: len(done) == 3, "all are done")
        assert [got.json["id"] for got in hook.got] == ["r1-0", "r1-0", "r1-0", "r1-1", "r1-2"]
        line = notifier.lines["team"]
        assert (line.sent, line.failed, line.error) == (3, 0, "")


async def test_what_fails_for_ever_is_given_up_and_the_next_one_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hooks() as hook, notifying([channel(hook)]) as (notifier, done):
        hook.answers = [(404, "")] * 3
        notifier.tell(notice(1), ["team"])
        notifier.tell(notice(2), ["team"])
        await until(lambda: len(done) == 2, "both are done")
        line = notifier.lines["team"]
        assert (line.sent, line.failed) == (1, 1)
        assert "Channel team was not told of r1-1 (status 404)" in caplog.text


@pytest.mark.parametrize(
    ("kind", "answer"), [("dingtalk", '{"errcode":310000,"errmsg":"no"}'), ("feishu", '{"code":9}')]
)
async def test_a_refusal_with_status_200_is_a_failure(kind: str, answer: str) -> None:
    async with hooks() as hook, notifying([channel(hook, kind)], pauses=()) as (notifier, done):
        hook.answers = [(200, answer)]
        notifier.tell(NOTICE, ["team"])
        await until(lambda: done, "it is given up")
        assert notifier.lines["team"].failed == 1


async def test_a_redirect_is_not_followed_with_what_is_secret() -> None:
    async with hooks() as hook, notifying([channel(hook)], pauses=()) as (notifier, done):
        hook.answers = [(307, "")]
        notifier.tell(NOTICE, ["team"])
        await until(lambda: done, "it is given up")
        assert len(hook.got) == 1


async def test_a_channel_that_hangs_holds_up_no_other() -> None:
    async with hooks() as dead, hooks() as hook:
        dead.hangs = True
        both = [channel(dead, name="dead"), channel(hook)]
        async with notifying(both, seconds=60) as (notifier, done):
            notifier.tell(notice(1), ["dead", "team"])
            notifier.tell(notice(2), ["team"])
            await until(lambda: "r1-2" in done, "the other channel was told")
            assert done == ["r1-2"]  # the first one still waits for the dead channel


async def test_no_answer_in_time_is_a_failure() -> None:
    async with hooks() as hook:
        hook.hangs = True
        async with notifying([channel(hook)], pauses=(), seconds=0.05) as (notifier, done):
            notifier.tell(NOTICE, ["team"])
            await until(lambda: done, "it is given up")
            assert notifier.lines["team"].error == "no answer in time"


async def test_mail_that_is_refused_is_tried_again() -> None:
    async with mailbox() as box, notifying([mail(box)], pauses=(0.01,) * 500) as (notifier, done):
        box.refuses = True
        notifier.tell(NOTICE, ["mail"])
        await until(lambda: notifier.lines["mail"].error, "it failed once")
        assert notifier.lines["mail"].error == "SMTPRecipientsRefused"
        box.refuses = False
        await until(lambda: done, "it is done")
        assert len(box.got) == 1


async def test_a_channel_hears_only_of_what_it_wants() -> None:
    async with hooks() as hook:
        picky = channel(hook, events=("promoted",))
        async with notifying([picky]) as (notifier, done):
            notifier.tell(NOTICE, ["team"])
            assert done == ["r1-7"]
            notifier.tell(notice(8, event="promoted"), ["team"])
            await until(lambda: len(done) == 2, "the other one is done")
            assert [got.json["event"] for got in hook.got] == ["promoted"]


async def test_what_waits_is_bounded_and_the_oldest_is_given_up() -> None:
    async with hooks() as hook:
        notifier = Notifier([channel(hook)])
        done: list[str] = []
        notifier.on_done(done.append)
        for number in range(MOST_WAITING + 2):
            notifier.tell(notice(number), ["team"])
        assert done == ["r1-0", "r1-1"]
        assert repr(notifier) == f"<Notifier of team, {MOST_WAITING} wait>"


async def test_no_log_line_repeats_a_secret_url(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Channel(name="gone", kind="slack", url=Secret(f"http://{HOST}:1/hush"))
    broken = Channel(name="odd", kind="slack", url=Secret("http://[hush/"))
    async with notifying([nowhere, broken], pauses=()) as (notifier, done):
        notifier.tell(NOTICE, ["gone", "odd"])
        await until(lambda: done, "they are given up")
        assert "was not told" in caplog.text
        assert "hush" not in caplog.text
