"""A little traffic for the demo: a few users who talk to the model through the gateway.

    python -m gateway.demo.traffic --url http://127.0.0.1:8080

It is bounded on purpose (a handful of requests a second, loopback only): it shows how the gateway
splits, it is no load test. Whatever the gateway answers, or does not, it goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
from random import Random
from urllib.parse import urlsplit

import aiohttp

from gateway.demo.tether import tie_to_parent
from gateway.demo.until import until_told_to_end
from gateway.errors import UsageError

MAX_RATE = 5.0  # requests a second
MAX_IN_FLIGHT = 16
USERS = 200
STREAMED_SHARE = 0.25
TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=2)
SAYINGS = (
    "Tell me a joke about gray cats.",
    "What is a canary release?",
    "Summarise this text in one line.",
    "Translate good morning into French.",
)


class Traffic:
    """Sends chat requests at a steady pace until its task is cancelled."""

    def __init__(self, url: str, rate: float = MAX_RATE, seed: int = 0) -> None:
        if not is_loopback(url):
            raise UsageError(f"demo traffic goes to loopback only, not to {url}")
        if not 0 < rate <= MAX_RATE:
            raise UsageError(f"demo traffic makes at most {MAX_RATE:g} requests a second")
        self._url = url.rstrip("/") + "/v1/chat/completions"
        self._pause_seconds = 1 / rate
        self._random = Random(seed)
        self._in_flight: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    async def run(self) -> None:
        """One request each pause; a slow gateway gets fewer, never a burst to catch up."""
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            asyncio.TaskGroup() as requests,
        ):
            while True:
                self.start_one(session, requests)
                await asyncio.sleep(self._pause_seconds)

    def start_one(self, session: aiohttp.ClientSession, requests: asyncio.TaskGroup) -> None:
        """Sends a request unless too many are still unanswered."""
        if self.in_flight < MAX_IN_FLIGHT:
            task = requests.create_task(self._send(session, self._next_request()))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    def _next_request(self) -> tuple[str, dict[str, object]]:
        user = f"user-{self._random.randint(1, USERS)}"
        saying = self._random.choice(SAYINGS)
        return user, {
            "model": "chat",
            "stream": self._random.random() < STREAMED_SHARE,
            "messages": [{"role": "user", "content": saying}],
        }

    async def _send(
        self, session: aiohttp.ClientSession, request: tuple[str, dict[str, object]]
    ) -> None:
        user, body = request
        try:
            async with session.post(self._url, json=body, headers={"x-user-id": user}) as response:
                async for _ in response.content.iter_any():
                    pass
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # the gateway counts and shows failures; that is what the demo is for
        except Exception:  # root of a task: one odd answer must not end the traffic
            logging.getLogger(__name__).exception("demo traffic")


def is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # a bracket that is never closed
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def serve(traffic: Traffic, parent_pid: int | None) -> None:
    """Runs the traffic until told to end or, if tied to a parent, until that one is gone."""
    sending = asyncio.create_task(traffic.run())
    ending = asyncio.create_task(until_told_to_end(parent_pid))
    await asyncio.wait([sending, ending], return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, ending):
        task.cancel()
    await asyncio.gather(sending, ending, return_exceptions=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.traffic", description=__doc__)
    parser.add_argument("--url", required=True, help="base URL of the gateway's data port")
    parser.add_argument("--rate", type=float, default=MAX_RATE, help="requests a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parent", type=int, help="process id to end with")
    given = parser.parse_args(arguments)
    if given.parent is not None:
        tie_to_parent(given.parent)
    try:
        traffic = Traffic(given.url, given.rate, given.seed)
    except UsageError as error:
        parser.error(str(error))
    asyncio.run(serve(traffic, given.parent))


if __name__ == "__main__":
    main()
