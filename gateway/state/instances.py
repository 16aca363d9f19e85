"""Signs of life of all gateways that share a store: who is there, and what each routes by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import msgspec

from gateway import __version__
from gateway.errors import StoreError
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.reader import of_other_type
from gateway.state.snapshot import Snapshot

BEAT_SECONDS = 2.0
GONE_SECONDS = 10.0  # without a sign of life a gateway is not shown any more
FORGET_SECONDS = 3600.0  # and after this its entry is taken away


class Instance(msgspec.Struct, frozen=True):
    """One gateway, as it said of itself; times by its own clock."""

    at: float
    version: str
    revisions: dict[str, int]  # of the routes that it holds
    drills: dict[str, tuple[int, float]] = {}  # of drills' routes: what all workers hold, since


class Instances:
    """Writes this gateway's own entry, and reads everybody's."""

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        keys: Keys,
        own_id: str,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._link = link
        self._key = keys.instances
        self._own_id = own_id
        self._snapshot = snapshot
        self.drills: Mapping[str, tuple[int, float]] = {}  # what the next beat says of them
        self.latest: dict[str, Instance] = {}  # everybody at the last beat, those gone included

    async def run(self) -> None:
        """Tell the others for ever; a store that is away or takes no writes is no matter here."""
        while True:
            with suppress(StoreError):  # the watch and the lease report it
                await self.beat(time.time())
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self, now: float) -> None:
        routes = self._snapshot().routes
        revisions = {name: held.revision for name, held in routes.items()}
        own = msgspec.json.encode(Instance(now, __version__, revisions, dict(self.drills)))
        link = await self._link()
        await link.call("HSET", self._key, self._own_id, own)
        seen = await self._read(link)
        self.latest = {name: one for name, one in seen.items() if one is not None}
        gone = [name for name, one in seen.items() if _is_old(one, now)]
        if gone:
            await link.call("HDEL", self._key, *gone)

    async def leave(self) -> None:
        """Take the own entry away, at the end of this gateway."""
        await (await self._link()).call("HDEL", self._key, self._own_id)

    async def everybody(self, now: float) -> dict[str, Instance]:
        """The gateways that showed a sign of life of late."""
        seen = await self._read(await self._link())
        return {
            name: one for name, one in seen.items() if one and abs(now - one.at) <= GONE_SECONDS
        }

    async def _read(self, link: Link) -> dict[str, Instance | None]:
        """Every entry; None for one that is none."""
        try:
            reply = await link.call("HGETALL", self._key)
        except StoreError as error:
            raise of_other_type(error, self._key, "hash") from None
        pairs = reply.items() if isinstance(reply, dict) else zip(*[iter(reply)] * 2, strict=True)  # type: ignore[call-overload]  # a flat list under RESP2
        found: dict[str, Instance | None] = {}
        for name, text in pairs:
            try:
                one = msgspec.json.decode(text, type=Instance)
            except msgspec.MsgspecError:
                one = None
            found[name.decode(errors="replace")] = one
        return found


def _is_old(instance: Instance | None, now: float) -> bool:
    return instance is not None and now - instance.at > FORGET_SECONDS
