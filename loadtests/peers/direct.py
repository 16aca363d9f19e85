"""No proxy at all: shows what the load and the backend could do by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.peers.program import Place, Running


class Direct:
    name = "direct"
    without: frozenset[str] = frozenset()

    def version(self) -> str:
        return "no proxy, for comparison of the rates"

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        yield Running(place.origins[0], [], [])
