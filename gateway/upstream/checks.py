"""Active checks: endpoints are asked for a path of their own, without waiting for requests to fail.

A check has a connection of its own and passes when the endpoint answers 2xx or 3xx in time. What
checks find takes effect after 3 failures or 2 successes in a row (see `health`).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import cast

from gateway.errors import UpstreamError
from gateway.upstream.address import Target
from gateway.upstream.dial import Dialer
from gateway.upstream.endpoint import Endpoint

MOST_SECONDS = 2.0  # for one check
_HEAD_BYTES = 64 * 1024
_MOST_HEADS = 8  # interim answers and the final one

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")

_log = logging.getLogger(__name__)


class Checks:
    """All active checks of one worker; owns their tasks."""

    __slots__ = ("_clock", "_dialer", "_draw", "_ending", "_is_running", "_tasks", "_watched")

    def __init__(
        self, dialer: Dialer, clock: Callable[[], float], draw: Callable[[], float]
    ) -> None:
        self._dialer = dialer
        self._clock = clock
        self._draw = draw
        self._watched: dict[Endpoint, tuple[str, float]] = {}
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._is_running = False

    def __repr__(self) -> str:
        return f"<Checks of {len(self._watched)} endpoints>"

    def start(self) -> None:
        """From now on endpoints are checked; needs a running loop."""
        self._is_running = True
        for endpoint, (path, interval) in self._watched.items():
            self._start(endpoint, path, interval)

    def watch(self, endpoint: Endpoint, path: str, interval: float) -> None:
        """Checks an endpoint from now on; without a `path` not any more."""
        wanted = (path, interval)
        if self._watched.get(endpoint) == wanted:
            return
        self.forget(endpoint)
        if path:
            self._watched[endpoint] = wanted
            if self._is_running:
                self._start(endpoint, path, interval)

    def forget(self, endpoint: Endpoint) -> None:
        if self._watched.pop(endpoint, None) is None:
            return
        endpoint.health.forget_checks()
        if task := self._tasks.pop(endpoint, None):
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        self._is_running = False
        tasks = [*self._tasks.values(), *self._ending]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, endpoint: Endpoint, path: str, interval: float) -> None:
        self._tasks[endpoint] = asyncio.create_task(self._run(endpoint, path, interval))

    async def _run(self, endpoint: Endpoint, path: str, interval: float) -> None:
        seconds = min(interval, MOST_SECONDS)
        await asyncio.sleep(interval * self._draw())  # workers must not all ask at once
        while True:
            try:
                wrong = await check(self._dialer, endpoint.target, path, seconds)
            except Exception:
                # The root of a task: an endpoint must not lose its checks to a fault of ours.
                _log.exception("%s: a check of %s failed inside.", endpoint.owner, endpoint.url)
            else:
                self._note(endpoint, wrong)
            await asyncio.sleep(interval * (0.9 + 0.2 * self._draw()))

    def _note(self, endpoint: Endpoint, wrong: str) -> None:
        if not wrong:
            if endpoint.health.check_passed(self._clock()):
                text = "%s: %s passes its checks again and gets requests."
                _log.info(text, endpoint.owner, endpoint.url)
        elif endpoint.health.check_failed():
            text = "%s: %s does not pass its checks (%s); it gets no requests until it does."
            _log.warning(text, endpoint.owner, endpoint.url, wrong)


async def check(dialer: Dialer, target: Target, path: str, seconds: float) -> str:
    """What is wrong with the endpoint, empty when nothing is."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask(dialer, target, path, seconds)
    except TimeoutError:
        return f"no answer in {seconds:g} s"
    except UpstreamError as error:
        return error.detail or str(error)
    except (OSError, asyncio.IncompleteReadError):
        return "it broke off"
    except asyncio.LimitOverrunError:
        return "its answer has a head without end"


async def _ask(dialer: Dialer, target: Target, path: str, seconds: float) -> str:
    reader = asyncio.StreamReader(_HEAD_BYTES)
    protocol = await dialer.dial(target, lambda: _Listening(reader), seconds)
    try:
        protocol.transport.write(
            b"GET %b%b HTTP/1.1\r\nHost: %b\r\nUser-Agent: graygate\r\nAccept: */*\r\n"
            b"Connection: close\r\n\r\n" % (target.path, path.encode("ascii"), target.authority)
        )
        for _ in range(_MOST_HEADS):
            found = _STATUS_LINE.match(await reader.readuntil(b"\r\n\r\n"))
            if found is None:
                return "its answer is not HTTP/1.1"
            status = int(found[1])
            if status >= 200:
                return "" if status < 400 else f"it answers {status}"
        return "it never comes to its answer"
    finally:
        protocol.transport.abort()


class _Listening(asyncio.StreamReaderProtocol):
    """A stream's protocol that knows its transport."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        super().connection_made(transport)
