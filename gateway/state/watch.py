"""One connection that hears of every change in the store and reads what changed.

Theory of operation. Tracking is switched on first and everything is read afterwards, on the same
connection, so that no change falls between. From then on the store names the keys that change, and
only their routes are read again. Because pushes get lost (a proxy that drops them, SWAPDB, a paused
old master that comes back), the watch also looks at everything every couple of seconds, which is
cheap, and asks for a sign of life in between. Any error whatever ends the connection; a new one
starts from the beginning, after a growing pause.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Set

from gateway.config.settings import Redis
from gateway.errors import StoreDenied, StoreError, StoreUnavailable
from gateway.state.address import open_link
from gateway.state.keeper import Keeper, Reading
from gateway.state.keys import Keys, Part
from gateway.state.link import Link
from gateway.state.members import ListReader
from gateway.state.reader import read_route_names, read_routes
from gateway.state.snapshot import Refusal
from gateway.state.status import Mode, StoreStatus
from gateway.state.tokens import TokenBook

log = logging.getLogger("graygate.state")

LEAST_PAUSE_SECONDS = 0.02
MOST_PAUSE_SECONDS = 2.0
TOKEN_SECONDS = 2.0  # a token that was taken back is valid no longer, though a push was lost
AUDIT_SECONDS = 300.0  # every list is read whole at least this often
POLLED_IDS = 5000  # lists up to this size are read at every look when nobody tells us of changes

JUDGED_AT_ONCE = 20  # routes, before others run again: about 2 ms
LOOKED_AT_ONCE = 25  # routes, before what was told is read: about 7 ms

Lists = Set[str] | Callable[[], list[str]]
Names = tuple[frozenset[str] | None, list[Refusal]]

# What the conductor of a release waits for: numbers, commands, another state of it.
_OF_A_RELEASE = (Part.STRATA, Part.COMMANDS, Part.RELEASE)

_OF_A_ROUTE = (
    Part.ROUTE,
    Part.VERSIONS,
    Part.WEIGHTS,
    Part.RULES,
    Part.RELEASE,
    Part.HISTORY,
)


class Watch:
    """Keeps the keeper in step with the store, for ever, whatever the store does."""

    def __init__(
        self,
        settings: Redis,
        keeper: Keeper,
        lists: ListReader,
        tokens: TokenBook,
        status: StoreStatus,
        publish: Callable[[], None],
        tell_release: Callable[[str, Part], None] = lambda *_: None,
    ) -> None:
        self._settings = settings
        self._tell_release = tell_release  # that something about the release of a route changed
        self._keys = Keys(settings.prefix)
        self._keeper = keeper
        self._lists = lists
        self._tokens = tokens
        self._status = status
        self._publish = publish
        self._dirty: set[str] = set()
        self._is_all_dirty = False
        self._may_ask_role = True
        self._woken = asyncio.Event()

    async def run(self) -> None:
        pause = LEAST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            try:
                link = await open_link(self._settings, on_push=self._on_push)
                try:
                    await self._follow(link)
                finally:
                    link.close()
                    await link.wait_closed()
            except StoreError as error:
                self._status.failures += 1
                self._lose(str(error))
            if time.monotonic() - started > MOST_PAUSE_SECONDS:
                pause = LEAST_PAUSE_SECONDS
            # Jitter keeps a herd of gateways from knocking at a reborn store in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, MOST_PAUSE_SECONDS)

    def wake(self) -> None:
        """Look at everything now."""
        self._is_all_dirty = True
        self._woken.set()

    # Connection

    def _lose(self, error: str) -> None:
        if self._status.is_connected or error != self._status.error:
            log.warning(
                "No store%s: %s",
                ", the last good table stays in force" if self._status.is_loaded else "",
                error,
                extra={"event": "store_away"},
            )
        self._status.mode = Mode.NONE
        self._status.error = error

    async def _follow(self, link: Link) -> None:
        """Read everything, then whatever changes, until the link fails."""
        self._dirty.clear()
        self._is_all_dirty = False
        mode = await self._start_tracking(link)
        await self._tokens.read(link)
        await self._read_all(link, self._lists.everything)
        now = time.monotonic()
        self._found(link, mode)
        next_poll, next_beat, next_audit = now, now, now + AUDIT_SECONDS
        next_tokens = now + TOKEN_SECONDS
        while True:
            now = time.monotonic()
            if self._woken.is_set():
                self._woken.clear()
                await self._read_dirty(link)
            elif now >= next_tokens:
                next_tokens = now + TOKEN_SECONDS
                await self._tokens.read(link)
            elif now >= next_audit:
                next_audit = now + AUDIT_SECONDS
                await self._read_all(link, self._lists.everything)
            elif now >= next_beat:  # before the look, which may take longer than until the next one
                next_beat = now + self._settings.heartbeat_seconds
                await self._check_life(link)
                self._status.synced_at = time.time()
            elif now >= next_poll:
                await self._look(link, mode)
                next_poll = time.monotonic() + self._settings.poll_seconds
            else:
                await self._rest(link, min(next_poll, next_beat, next_audit, next_tokens) - now)

    async def _rest(self, link: Link, seconds: float) -> None:
        """Wait for a push; a link that ends in the meantime is an error."""
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._woken.wait()
        except TimeoutError:
            pass
        if link.is_closed:
            raise link.failure or StoreUnavailable("the store closed the connection")

    async def _check_life(self, link: Link) -> None:
        """A sign of life, from the same kind of server that we once connected to."""
        if not self._may_ask_role:
            await link.call("PING")
            return
        try:
            role = await link.ask_role()
        except StoreDenied:
            self._may_ask_role = False
            return
        if link.role == "master" and role != "master":
            raise StoreUnavailable(f"The store at {link.address} became a {role}.")

    async def _start_tracking(self, link: Link) -> Mode:
        if not self._settings.tracking:
            self._status.why_poll = "redis.tracking is false"
            return Mode.POLL
        if link.protocol < 3:
            self._status.why_poll = "the store does not speak RESP3"
            return Mode.POLL
        try:
            await link.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self._settings.prefix)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._status.why_poll = str(error)
            return Mode.POLL
        self._status.why_poll = ""
        return Mode.PUSH

    def _found(self, link: Link, mode: Mode) -> None:
        status = self._status
        if status.connected_since:
            status.reconnects += 1
        status.mode, status.error, status.server = mode, "", str(link.address)
        status.connected_since = time.time()
        how = "" if mode is Mode.PUSH else f", looking every {self._settings.poll_seconds:g} s"
        why = f" ({status.why_poll})" if status.why_poll else ""
        log.info("Following the store at %s%s%s", link.address, how, why)

    # Changes

    def _on_push(self, kind: bytes, keys: list[object] | None) -> None:
        """The store names keys that changed, or None: everything may have changed."""
        if kind != b"invalidate":
            return
        if keys is None:
            self._is_all_dirty = True
        else:
            self._dirty.update(
                key.decode(errors="replace") for key in keys if isinstance(key, bytes)
            )
        self._woken.set()

    async def _read_dirty(self, link: Link) -> None:
        """Read what the pushes since the last time were about, in one go."""
        if self._is_all_dirty:
            self._is_all_dirty = False
            self._dirty.clear()
            await self._tokens.read(link)
            await self._read_all(link, self._lists.everything)
            return
        dirty, self._dirty = self._dirty, set()
        routes: set[str] = set()
        lists: set[str] = set()
        is_about_names = False
        strangers = []
        for key in dirty:
            place = self._keys.place(key)
            if place is None:
                strangers.append(key)
            elif place.part is Part.ROUTES:
                is_about_names = True
            elif place.part is Part.RELEASES:
                self._tell_release("", place.part)
            elif place.part is Part.TOKENS:
                await self._tokens.read(link)
            elif place.part in _OF_A_ROUTE:
                routes.add(place.route)
            elif place.part is Part.WHITELIST:
                lists.add(f"route/{place.route}/whitelist/{place.name}")
            elif place.part is Part.BLACKLIST:
                lists.add(f"route/{place.route}/blacklist")
            elif place.part in (Part.SEGMENT, Part.SEGMENT_HISTORY):
                lists.add(f"segment/{place.name}")
            if place is not None and place.part in _OF_A_RELEASE:
                self._tell_release(place.route, place.part)
        await self._note_strangers(link, strangers)
        if not (routes or lists or is_about_names or strangers):
            return  # strata, instances, leader, tokens: nothing that the table depends on
        self._status.attempts += 1
        if is_about_names:
            await self._read_with_names(link, routes, lists)
        else:
            await self._read(link, {n for n in routes if self._keeper.is_known(n)}, lists)

    async def _note_strangers(self, link: Link, keys: list[str]) -> None:
        """Remember unknown keys while they exist, so that a typing error shows."""
        if not keys:
            return
        types = await link.pipeline([("TYPE", key) for key in keys])
        for key, kind in zip(keys, types, strict=True):
            if kind in (b"none", "none"):
                self._keeper.forget_stranger(key)
            elif not isinstance(kind, StoreError):
                self._keeper.take_stranger(key)

    async def _look(self, link: Link, mode: Mode) -> None:
        """The net under the pushes: all small keys, and whatever list changed its size."""
        small = self._lists.small_lists(POLLED_IDS) if mode is Mode.POLL else []
        self._status.attempts += 1
        names = await read_route_names(link, self._keys)
        with_names = self._keeper.unheard(names[0])
        await self._read(link, with_names, lambda: small, names)
        rest = sorted(self._keeper.to_read(names[0]) - with_names)
        for start in range(0, len(rest), LOOKED_AT_ONCE):
            # Whatever is told meanwhile goes first: a thousand routes take half a second.
            if self._woken.is_set():
                self._woken.clear()
                await self._read_dirty(link)
            part = rest[start : start + LOOKED_AT_ONCE]
            await self._read(link, {name for name in part if self._keeper.is_known(name)}, set())
        await self._lists.check_cards(link)
        self._publish()

    async def _read_all(self, link: Link, lists: Callable[[], list[str]]) -> None:
        self._status.attempts += 1
        await self._read_with_names(link, None, lists)

    async def _read_with_names(self, link: Link, routes: set[str] | None, lists: Lists) -> None:
        """Read the set of routes, and of them those given, or all."""
        names = await read_route_names(link, self._keys)
        known = self._keeper.to_read(names[0])
        if routes is not None:
            known &= routes | self._keeper.unheard(names[0])
        await self._read(link, known, lists, names)

    async def _read(
        self, link: Link, routes: Set[str], lists: Lists, names: Names | None = None
    ) -> None:
        """Read these routes, then the lists, and swap the result in.

        Names and routes are taken in together: a scan that ends meanwhile publishes what is known,
        and must not find new names beside old routes.
        """
        raws = await read_routes(link, self._keys, routes)
        readings: list[Reading] = []
        for number, raw in enumerate(raws.values()):
            reading = self._keeper.judge(raw)
            if reading is not None:
                readings.append(reading)
            if number % JUDGED_AT_ONCE == JUDGED_AT_ONCE - 1:
                await asyncio.sleep(0)
        if names is not None:
            self._keeper.take_names(*names)
        for reading in readings:
            self._keeper.take(reading)
        wanted = lists() if callable(lists) else lists
        await self._lists.refresh(link, [*wanted, *self._lists.missing()], routes)
        self._status.synced_at = time.time()
        self._publish()
