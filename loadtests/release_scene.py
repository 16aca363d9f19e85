"""What whole releases are tried with: models that misbehave on command, users, and the API.

The models of all routes are one server in a thread, whose endpoints are paths: `/v2/chat` is the
version v2 of the route chat. The users are in the same thread; each request is one user's first,
and comes on a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Literal, Self, TypeVar

from aiohttp import ClientError, ClientSession

Fault = Literal["", "some", "all", "hangs", "slow", "stalls"]
T = TypeVar("T")

SECONDS = 30.0
EVERY = 50  # requests; one of so many fails of a version that fails "some": 2 %
SLOW_SECONDS = 0.15
CLIENT_SECONDS = 15.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_EVENT = b"9\r\ndata: x\n\n\r\n"
_END = b"0\r\n\r\n"


class Models:
    """All models and all users; `faults` says of a route what its v2 does wrong, at any time."""

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}
        self.failed_at: dict[str, float] = {}  # when a route's v2 first did wrong
        self.answers: dict[str, Counter[int]] = {}  # by route and status, as users saw them
        self.url = ""
        self._asked: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._served: set[asyncio.Task[Any]] = set()
        self._users: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._run(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def endpoint(self, route: str, version: str) -> str:
        return f"{self.url}/{version}/{route}"

    def plant(self, route: str) -> list[str]:
        """The lines for redis-cli that make a route of v1 and v2, with timeouts of a second."""
        one, two = (self.endpoint(route, version) for version in ("v1", "v2"))
        return [
            f"HSET gray:route:{route}:versions v1 {one} v2 {two}",
            f"HSET gray:route:{route} stable v1 path /{route} failover 0"
            " timeout_first_byte 1 timeout_idle 1",
            f"SADD gray:routes {route}",
        ]

    def users(self, url: str, route: str, per_second: float, path: str = "/x") -> None:
        """Users of a route come from now on, until `go_home`."""
        port = int(url.rstrip("/").rpartition(":")[2])

        async def begin() -> None:
            task = asyncio.create_task(self._come(port, route, per_second, path))
            self._users.add(task)

        self._run(begin())

    def go_home(self) -> None:
        """No more users come."""

        async def end() -> None:
            for task in self._users:
                task.cancel()
            await asyncio.gather(*self._users, return_exceptions=True)
            self._users.clear()

        self._run(end())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    # Models

    async def _serve(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1000)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, version, route, *rest = head.split(b" ", 2)[1].decode().split("/")
                fault = self.faults.get(route, "") if version == "v2" else ""
                await self._do(writer, route, fault, is_stream=rest[-1:] == ["stream"])
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the gateway has ended the connection, or everything is over
        finally:
            self._served.discard(asyncio.current_task())
            writer.transport.abort()

    async def _do(
        self, writer: asyncio.StreamWriter, route: str, fault: Fault, *, is_stream: bool
    ) -> None:
        self._asked[route] += bool(fault)
        # Now, since others come while this one sleeps.
        is_the_one = self._asked[route] % EVERY == 0
        if fault and (fault != "some" or is_the_one):
            self.failed_at.setdefault(route, time.time())
        await asyncio.sleep(0.005)
        if fault == "hangs":
            await asyncio.sleep(SECONDS)
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if fault == "all" or (fault == "some" and is_the_one):
            writer.write(_BAD)
        elif is_stream:
            writer.write(_STREAM)
            for _ in range(3):
                writer.write(_EVENT)
                await asyncio.sleep(SECONDS if fault == "stalls" else 0.005)
            writer.write(_END)
        else:
            writer.write(_OK)

    async def _end(self) -> None:
        for task in (*self._users, *self._served):
            task.cancel()
        await asyncio.gather(*self._users, *self._served, return_exceptions=True)
        self._server.close()
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn

    # Users

    async def _come(self, port: int, route: str, per_second: float, path: str) -> None:
        answers = self.answers.setdefault(route, Counter())
        due, number = self._loop.time(), 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                number += 1
                tasks.create_task(_ask(port, f"/{route}{path}", f"{route}-{number}", answers))
                due = max(due + 1 / per_second, self._loop.time() - 1.0)
                await asyncio.sleep(max(0.0, due - self._loop.time()))


async def _ask(port: int, path: str, user: str, answers: Counter[int]) -> None:
    status, writer = 0, None
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-User-Id: {user}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(CLIENT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            answer = await reader.read()
            while part := await reader.read():
                answer += part
            status = int(answer[9:12] or 0)
    except (OSError, ValueError, TimeoutError):
        pass
    finally:
        if writer is not None:
            writer.transport.abort()
    answers[status] += 1


class Story:
    """The release of one route, asked of a gateway, however often its control is killed."""

    def __init__(self, session: ClientSession, admin_url: str, route: str) -> None:
        self._session = session
        self._url = f"{admin_url.rstrip('/')}/api/v1/routes/{route}/release"

    async def start(self, plan: dict[str, Any]) -> dict[str, Any]:
        """As soon as the gateway has the route in force."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            if await self.look():
                break
            await asyncio.sleep(0.05)
        return await self._post("", {"plan": plan})

    async def say(self, verb: str, kind: str = "commands") -> dict[str, Any]:
        return await self._post(f"/{kind}", {"verb": verb, "why": "said in a trial"})

    async def look(self) -> dict[str, Any]:
        """The release; empty while nobody answers."""
        with contextlib.suppress(ClientError):
            async with self._session.get(self._url) as answer:
                found: dict[str, Any] = await answer.json()
                if answer.status == 200:
                    return found
        return {}

    async def until(self, *phases: str, proposal: str = "", seconds: float = 60) -> dict[str, Any]:
        """The status as soon as it is in one of these phases, or this verb is proposed."""
        ends = time.monotonic() + seconds
        found: dict[str, Any] = {}
        while time.monotonic() < ends:
            found = await self.look() or found
            status: dict[str, Any] = found.get("status") or {}
            proposed = (status.get("proposal") or {}).get("verb", "")
            if status.get("phase") in phases or (proposal and proposed == proposal):
                return status
            await asyncio.sleep(0.1)
        status = found.get("status") or {}
        told = [f"{one['at']:.1f} {one['text']}" for one in status.get("decisions", ())][-8:]
        why = (found.get("evidence") or {}).get("why")
        raise AssertionError(
            f"never {phases} {proposal}: {status.get('phase')}, waits for "
            f"{status.get('waiting_for')}, {told}, {why}, {found.get('problem')}"
        )

    async def _post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(self._url + path, json=content) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
            return told


def weights_of(status: dict[str, Any]) -> list[float]:
    """The percent that the candidate had at each decision."""
    return [decision["weight"] for decision in status["decisions"]]
