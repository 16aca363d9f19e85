"""Names of endpoints to addresses, asked again while the gateway runs.

An answer counts for 30 s. After that it is still given out while a new one is fetched beside the
request, unless it is older than 60 s: then the request waits. A name that cannot be resolved keeps
its last good addresses: a name server's bad day must not become the endpoints'. A name that never
could is asked for again after 5 s.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import chain, zip_longest

FRESH_SECONDS = 30.0
STALE_SECONDS = 60.0
NEGATIVE_SECONDS = 5.0
SHUNNED_SECONDS = 30.0
FORGET_SECONDS = 3600.0

Lookup = Callable[[str], Awaitable[list[str]]]

_log = logging.getLogger(__name__)


class _Name:
    """What is known of one name."""

    __slots__ = (
        "addresses",
        "asked_at",
        "error",
        "is_ailing",
        "shunned",
        "task",
        "turn",
        "used_at",
    )

    def __init__(self) -> None:
        self.addresses: list[str] = []  # the last good ones
        self.asked_at = float("-inf")  # when the last lookup began
        self.used_at = 0.0
        self.error = ""  # of the last lookup
        self.is_ailing = False  # said so in the log
        self.shunned: dict[str, float] = {}  # address that took no connection -> until
        self.task: asyncio.Task[None] | None = None
        self.turn = 0


class Resolver:
    """The names of one worker; one lookup at a time for each."""

    __slots__ = ("_draw", "_lookup", "_names")

    def __init__(self, draw: Callable[[], float], lookup: Lookup | None = None) -> None:
        self._draw = draw
        self._lookup = lookup or _system_lookup
        self._names: dict[str, _Name] = {}

    def __repr__(self) -> str:
        ailing = sum(bool(name.error) for name in self._names.values())
        return f"<Resolver {len(self._names)} names, {ailing} of them with errors>"

    async def addresses(self, host: str, now: float) -> list[str]:
        """In the order to be tried, another one each time; OSError when there are none."""
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = _Name()
        name.used_at = now
        age = now - name.asked_at
        enough = FRESH_SECONDS if name.addresses else NEGATIVE_SECONDS
        if age >= enough and name.task is None:
            name.asked_at = now
            name.task = asyncio.create_task(self._ask(host, name))
        if name.task is not None and (not name.addresses or age >= STALE_SECONDS):
            # Many may wait for one lookup; that one of them gives up must not end it.
            await asyncio.shield(name.task)
        if not name.addresses:
            raise OSError(name.error or "the name was not resolved")
        return _in_turn(name, now)

    def shun(self, host: str, address: str, now: float) -> None:
        """`address` took no connection: for a while it is tried after the others."""
        if name := self._names.get(host):
            name.shunned[address] = now + SHUNNED_SECONDS

    def sweep(self, now: float) -> None:
        """Forgets names that nobody asks for any more."""
        for host, name in list(self._names.items()):
            if name.task is None and now - name.used_at > FORGET_SECONDS:
                del self._names[host]

    async def close(self) -> None:
        tasks = [name.task for name in self._names.values() if name.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, host: str, name: _Name) -> None:
        try:
            found = list(dict.fromkeys(await self._lookup(host)))
            name.error = "" if found else "it has no addresses"
        except (OSError, UnicodeError) as error:  # labels that are too long are a UnicodeError
            found = []
            name.error = str(error)
        finally:
            name.task = None
        if found:
            name.addresses = self._mixed(found)
            name.shunned = {a: until for a, until in name.shunned.items() if a in found}
        self._tell(host, name)

    def _tell(self, host: str, name: _Name) -> None:
        """One line when trouble begins, one when it ends."""
        if name.error and not name.is_ailing:
            known = "going on with its last addresses" if name.addresses else "it has none so far"
            _log.warning("The name %s cannot be resolved (%s); %s.", host, name.error, known)
        elif name.is_ailing and not name.error:
            _log.info("The name %s is resolved again.", host)
        name.is_ailing = bool(name.error)

    def _mixed(self, addresses: list[str]) -> list[str]:
        """Shuffled, and with families in turn, so that a broken one costs one attempt only."""
        shuffled = sorted(addresses, key=lambda _: self._draw())
        six = [address for address in shuffled if ":" in address]
        four = [address for address in shuffled if ":" not in address]
        return [one for one in chain(*zip_longest(six, four)) if one is not None]


def _in_turn(name: _Name, now: float) -> list[str]:
    turn = name.turn = (name.turn + 1) % len(name.addresses)
    ordered = name.addresses[turn:] + name.addresses[:turn]
    if name.shunned:
        ordered.sort(key=lambda address: name.shunned.get(address, 0.0) > now)
    return ordered


async def _system_lookup(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
