"""The operator's side of a gateway in this process: a followed store and the API on a real port."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession
from multidict import CIMultiDictProxy

from gateway.admin.app import Admin
from gateway.admin.context import AdminContext
from gateway.config.endpoints import endpoint_rule
from gateway.config.secret import Secret
from gateway.config.settings import Admin as AdminSettings
from gateway.config.settings import Redis, Settings
from gateway.metrics.numbers import Counted
from gateway.metrics.releases import Conducted
from gateway.metrics.standing import ProcessState, Standing
from gateway.metrics.strata import Observed
from gateway.process.comparing import Comparer
from gateway.process.feedback import FeedbackDesk
from gateway.process.plugins import Plugins
from gateway.process.strata import StrataSums
from gateway.release.conduct.desk import Desk
from gateway.release.conduct.drill.board import Board
from gateway.release.conduct.drill.rehearsal import Scene
from gateway.routing.table import Identity
from gateway.state.drills import DrillStore
from gateway.state.ratings import Ratings
from gateway.state.store import Store
from gateway.state.strata import StrataLog
from tests.servers import HOST, Server

SECONDS = 20.0
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as the control process knows it."""

    worker: int
    pid: int
    sequence: int | None


class Text(bytes):
    """A body of lines, sent as text/plain."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(slots=True)
class Running:
    """A running API, and what a test may turn behind it."""

    admin: Admin
    store: Store
    port: int
    session: ClientSession
    scheme: str = "http"
    workers: list[Worker] = field(default_factory=list)
    counted: Counted = field(default_factory=Counted)
    standing: Standing = field(default_factory=lambda: Standing(workers=2))
    processes: list[ProcessState] = field(default_factory=list)
    observed: Observed = field(default_factory=Observed)
    conducted: Conducted = field(default_factory=Conducted)
    shadows: Comparer | None = None
    drills: Board | None = None
    feedback: FeedbackDesk | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}"

    async def ask(self, method: str, path: str, content: object = None, **headers: str) -> Answer:
        """One call; `content` is sent as JSON, or as it is when it is bytes or Text.

        A header is named by a keyword: `if_match="3"`.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = None
        if content is not None:
            given.setdefault("content-type", "text/plain" if isinstance(content, Text) else JSON)
            body = io.BytesIO(content if isinstance(content, bytes) else _json(content))
        url = self.url + path
        async with self.session.request(
            method, url, data=body, headers=given, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json

    async def ask_until(
        self, status: int, method: str, path: str, content: object = None
    ) -> Answer:
        """The first answer of this status; fails when none comes in time."""
        deadline = time.monotonic() + SECONDS
        while (answer := await self.ask(method, path, content)).status != status:
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(0.02)
        return answer

    async def ask_until_with(self, status: int, method: str, path: str, **headers: str) -> Answer:
        """The same for a call with headers and without a body."""
        deadline = time.monotonic() + SECONDS
        while (answer := await self.ask(method, path, **headers)).status != status:
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(0.02)
        return answer

    def worker(self, sequence: int | None = None) -> Worker:
        """A worker that holds the table `sequence`, the newest when none is given."""
        newest = self.store.snapshot.sequence
        return Worker(len(self.workers), 4711, newest if sequence is None else sequence)

    async def raw(self, request: bytes) -> bytes:
        """What comes back for these bytes, up to the end of the connection."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), SECONDS)
        finally:
            writer.close()
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def running(
    redis: Redis,
    *,
    token: str = "",
    hosts: tuple[str, ...] = (),
    state_dir: Path | None = None,
    override_key: bytes = b"",
    **admin: Any,
) -> AsyncIterator[Running]:
    """Starts the API on a free port; the store is followed until the block ends.

    `admin` are more settings of that section.
    """
    own = AdminSettings(token=Secret(token), hosts=hosts, **admin)
    settings = Settings(redis=redis, admin=own)
    store = Store(redis, state_dir, "gateway-1", endpoint_rule(settings).wrong_with_url)
    sock = socket.create_server((HOST, 0))
    desk = Desk(store, StrataLog(store.link, store.keys), ["team"], heard_seconds=0.05)
    scene = Scene(
        store, desk, DrillStore(store.link, store.keys), lambda: side.workers, "gateway-1"
    )
    drills = Board(settings, scene, "http://127.0.0.1:1", Path("/nowhere"))
    shadows = Comparer(StrataSums(), lambda route: None, Plugins(()), None)
    feedback = FeedbackDesk(StrataSums(), Ratings(store.link, store.keys))
    async with ClientSession() as session:
        context = AdminContext(
            settings=settings,
            store=store,
            identity=Identity(override_key=override_key),
            own_id="gateway-1",
            workers=lambda: side.workers,
            counted=lambda: side.counted,
            standing=lambda: side.standing,
            processes=lambda: side.processes,
            observed=lambda: side.observed,
            conducted=lambda: side.conducted,
            releases=desk,
            drills=drills,
            shadows=shadows,
            feedback=feedback,
        )
        scheme = "https" if own.tls_cert else "http"
        side = Running(Admin(context), store, sock.getsockname()[1], session, scheme)
        side.shadows, side.feedback, side.drills = shadows, feedback, drills
        following = asyncio.create_task(store.run())
        try:
            await side.admin.start(sock)
            yield side
        finally:
            await side.admin.stop()
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def until(condition: Callable[[], bool], what: str) -> None:
    """Returns when `condition` holds; fails with `what` when it does not in time."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"within {SECONDS:g} s: {what}"
        await asyncio.sleep(0.005)


def _json(content: object) -> bytes:
    return msgspec.json.encode(content)


def redis_settings(server: Server, timeout_seconds: float = 5.0) -> Redis:
    return Redis(url=server.url, timeout_seconds=timeout_seconds)


def plant(server: Server) -> None:
    """One route, typed as an operator types it: v1 is stable, v2 has 10 %, v3 nothing."""
    server.cli("HSET gray:route:chat:versions v1 http://10.0.0.1:1 v2 http://10.0.0.2:1")
    server.cli("HSET gray:route:chat:versions v3 http://10.0.0.3:1")
    server.cli("HSET gray:route:chat:weights v2 10")
    server.cli("HSET gray:route:chat stable v1")
    server.cli("SADD gray:routes chat")


async def revision(side: Running, route: str = "chat") -> int:
    """The route's revision, once the hand-typed state has got its entry."""
    await until(
        lambda: (held := side.store.snapshot.routes.get(route)) is not None and held.revision > 0,
        f"{route} is in force and recorded",
    )
    return side.store.snapshot.routes[route].revision
