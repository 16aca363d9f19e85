"""The users of a drill: a steady rate of requests through the gateway's own data port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import count
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from gateway.release.conduct.drill.standin import TOKEN_HEADER
from gateway.release.drill.report import Wanted

UNIT_HEADER = "X-Drill-Unit"
MOST_AT_A_TIME = 256
ANSWER_SECONDS = 20.0


class Callers:
    """Sends inside `calling`; counts what came back."""

    def __init__(
        self, data_url: str, host: str, token: str, path: str, wanted: Wanted,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.answers: Counter[int] = Counter()  # by status; 0 = none came
        self.sent = 0
        self.last_bad_at = 0.0
        self._clock = clock
        self._url = _here(data_url) + path
        self._wanted = wanted
        self._headers = {"Host": host, TOKEN_HEADER: token}
        if wanted.body:
            self._headers["Content-Type"] = "application/json"

    def __repr__(self) -> str:
        return f"<Callers of {self._url}: {self.sent} sent, {dict(self.answers)}>"

    @property
    def good(self) -> int:
        """Answers that are no server's failure."""
        return sum(n for status, n in self.answers.items() if 100 <= status < 500)

    @property
    def bad(self) -> int:
        return sum(self.answers.values()) - self.good

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        # Our own port: whom its certificate is for does not matter.
        connector = TCPConnector(limit=MOST_AT_A_TIME, ssl=False)
        limit = ClientTimeout(total=ANSWER_SECONDS)
        async with (
            ClientSession(connector=connector, timeout=limit, auto_decompress=False) as session,
            asyncio.TaskGroup() as tasks,
        ):
            sending = tasks.create_task(self._send(session, tasks))
            try:
                yield
            finally:
                sending.cancel()

    async def _send(self, session: ClientSession, tasks: asyncio.TaskGroup) -> None:
        loop, gap = asyncio.get_running_loop(), 1 / self._wanted.rate
        due = loop.time()
        for number in count():
            if self.sent - sum(self.answers.values()) < MOST_AT_A_TIME:
                self.sent += 1
                tasks.create_task(self._ask(session, number))
            due = max(due + gap, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _ask(self, session: ClientSession, number: int) -> None:
        status = 0
        headers = {**self._headers, UNIT_HEADER: str(number)}
        body = self._wanted.body.encode() or None
        with contextlib.suppress(ClientError, TimeoutError, OSError):
            async with session.request(
                self._wanted.method, self._url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                await answer.read()
                status = answer.status
        self.answers[status] += 1
        if not 100 <= status < 500:
            self.last_bad_at = self._clock()


def _here(url: str) -> str:
    """An address to connect to, of one to listen on."""
    parts = urlsplit(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "", "")
    netloc = f"{host}:{parts.port}" if host else parts.netloc
    return urlunsplit((parts.scheme, netloc, "", "", "")).rstrip("/")
