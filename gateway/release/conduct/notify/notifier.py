"""Sends notices to channels: in the background, in order, a few times over, and never for ever.

Each channel has a queue and a task of its own, so one that hangs keeps only itself waiting. What
cannot be sent after the last try is logged and counted; a release never waits for any of it.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientSession, ClientTimeout

from gateway.config.channel import Channel
from gateway.release.conduct.notify.mail import send_mail
from gateway.release.conduct.notify.notice import Notice
from gateway.release.conduct.notify.wording import post_of, refusal_in

log = logging.getLogger("graygate.release")

MOST_WAITING = 200  # notices of one channel
PAUSES_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)  # between two tries; so many tries and one
SEND_SECONDS = 10.0  # for one try
MOST_ANSWER_BYTES = 4096

Done = Callable[[str], None]  # told the id of each notice that no channel waits for any more


class NotSent(Exception):
    """One try failed; the message says why and holds no secret."""


@dataclass(slots=True)
class Line:
    """What waits for one channel, and how it went so far."""

    channel: Channel
    waiting: deque[Notice] = field(default_factory=deque)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    failed: int = 0
    error: str = ""  # of the last try, "" when it went well


class Notifier:
    """`tell` never waits; `run` must be running for anything to be sent."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        pauses: Sequence[float] = PAUSES_SECONDS,
        send_seconds: float = SEND_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lines: Mapping[str, Line] = {one.name: Line(one) for one in channels}
        self._pauses = pauses
        self._send_seconds = send_seconds
        self._clock = clock
        self._left: dict[str, int] = {}  # lines that still have to send a notice
        self._done: Done = lambda _: None

    def __repr__(self) -> str:
        return f"<Notifier of {', '.join(self.lines) or 'no channel'}, {len(self._left)} wait>"

    def on_done(self, done: Done) -> None:
        self._done = done

    def tell(self, notice: Notice, names: Iterable[str]) -> None:
        """Send a notice to those of the named channels that want such events, once."""
        if notice.id in self._left:
            return
        wanted = [self.lines[name] for name in dict.fromkeys(names) if name in self.lines]
        wanted = [one for one in wanted if _wants(one.channel, notice)]
        for line in wanted:
            if len(line.waiting) >= MOST_WAITING:
                self._give_up(line, line.waiting.popleft(), "too many wait")
            line.waiting.append(notice)
            line.woken.set()
        if wanted:
            self._left[notice.id] = len(wanted)
        else:
            self._done(notice.id)

    async def run(self) -> None:
        """Sends until cancelled; what waits then is sent by whoever leads next."""
        async with (
            ClientSession(timeout=ClientTimeout(total=self._send_seconds)) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for line in self.lines.values():
                tasks.create_task(self._serve(session, line))
            await asyncio.Event().wait()

    async def _serve(self, session: ClientSession, line: Line) -> None:
        while True:
            await line.woken.wait()
            line.woken.clear()
            while line.waiting:
                notice = line.waiting.popleft()
                await self._deliver(session, line, notice)

    async def _deliver(self, session: ClientSession, line: Line, notice: Notice) -> None:
        for pause in (*self._pauses, None):
            try:
                await self._send(session, line.channel, notice)
            except NotSent as error:
                line.error = str(error)
                if pause is None:
                    self._give_up(line, notice, line.error)
                else:
                    await asyncio.sleep(pause)
            else:
                line.sent, line.error = line.sent + 1, ""
                self._settle(notice)
                return

    async def _send(self, session: ClientSession, channel: Channel, notice: Notice) -> None:
        try:
            if channel.kind == "email":
                await asyncio.to_thread(send_mail, channel, notice, self._send_seconds)
                return
            post = post_of(channel, notice, self._clock())
            async with session.post(
                post.url, data=post.body, headers=post.headers, allow_redirects=False
            ) as response:
                body = await response.content.read(MOST_ANSWER_BYTES)
        except TimeoutError:
            raise NotSent("no answer in time") from None
        except (ClientError, OSError, smtplib.SMTPException, ValueError) as error:
            # Not the error's own words: those of aiohttp repeat the URL, which may be a secret.
            raise NotSent(type(error).__name__) from None
        if not 200 <= response.status < 300:
            raise NotSent(f"status {response.status}")
        refusal = refusal_in(channel.kind, body)
        if refusal:
            raise NotSent(refusal)

    def _give_up(self, line: Line, notice: Notice, why: str) -> None:
        line.failed += 1
        log.warning(
            "Channel %s was not told of %s (%s): %s", line.channel.name, notice.id, why, notice.text
        )
        self._settle(notice)

    def _settle(self, notice: Notice) -> None:
        left = self._left.get(notice.id, 1) - 1
        if left > 0:
            self._left[notice.id] = left
        else:
            self._left.pop(notice.id, None)
            self._done(notice.id)


def _wants(channel: Channel, notice: Notice) -> bool:
    return not channel.events or notice.event in channel.events
