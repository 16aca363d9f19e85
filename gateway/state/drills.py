"""Drills in the store: which one runs on a route, and the reports of those that ended.

    gray:route:R:drill    STRING  JSON of the drill that runs; goes away when nobody renews it
    gray:route:R:drills   LIST    JSON of the last reports, the newest at the end

A drill works on a route of its own, named R.drill. One that nobody holds is what a gateway left
behind that was killed in the middle of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.errors import RefusedError, StoreError
from gateway.state.keys import Keys, Part
from gateway.state.link import Link
from gateway.state.reader import of_other_type

LEASE_SECONDS = 10
KEPT = 20  # reports of each route
SUFFIX = ".drill"
HOST_SUFFIX = ".drill.invalid"  # no name under .invalid is ever anybody's (RFC 2606)


class DrillStore:
    """Reads and writes drills; one link at a time, opened by whoever owns the connections."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def __repr__(self) -> str:
        return f"<DrillStore below {self._keys.prefix}>"

    async def begin(self, route: str, drill: bytes) -> None:
        """Take the route for a drill; RefusedError while another one has it."""
        key = self._keys.part(route, Part.DRILL)
        if await self._call("SET", key, drill, "NX", "EX", LEASE_SECONDS) is None:
            raise RefusedError(
                f"A drill runs on {route} already; see it with: graygate drill status {route}"
            )

    async def renew(self, route: str, drill: bytes) -> bool:
        """Hold on to it, and tell how it stands; False when it got lost."""
        key = self._keys.part(route, Part.DRILL)
        reply = await self._call("SET", key, drill, "XX", "EX", LEASE_SECONDS)
        return reply is not None

    async def running(self, route: str) -> bytes:
        """Empty when none runs."""
        key = self._keys.part(route, Part.DRILL)
        reply = await self._call("GET", key)
        return reply if isinstance(reply, bytes) else b""

    async def end(self, route: str, report: bytes) -> None:
        """Keep the report, and leave the route to the next drill."""
        list_key = self._keys.part(route, Part.DRILLS)
        replies = await (await self._link()).transaction(
            [
                ("RPUSH", list_key, report),
                ("LTRIM", list_key, -KEPT, -1),
                ("DEL", self._keys.part(route, Part.DRILL)),
            ]
        )
        for reply in replies:
            if isinstance(reply, StoreError):
                raise of_other_type(reply, list_key, "list")

    async def reports(self, route: str) -> Sequence[bytes]:
        """Newest first."""
        key = self._keys.part(route, Part.DRILLS)
        try:
            reply = await self._call("LRANGE", key, 0, -1)
        except StoreError as error:
            raise of_other_type(error, key, "list") from None
        return reply[::-1] if isinstance(reply, list) else []

    async def forget(self, route: str) -> None:
        """Remove what a release left of a route that is gone, but for its history."""
        parts = (Part.RELEASE, Part.COMMANDS, Part.FINISHED, Part.STRATA)
        replies = await (await self._link()).transaction(
            [
                ("SREM", self._keys.releases, route),
                *(("DEL", self._keys.part(route, part)) for part in parts),
            ]
        )
        for reply in replies:
            if isinstance(reply, StoreError):
                raise reply

    async def _call(self, *words: str | bytes | int) -> object:
        return await (await self._link()).call(*words)
