"""Changes that wait for the consent of a second person.

A proposal holds what would be written, whole, and the revision that it was made at. It is written
only while the route or segment still stands there, so that what was looked at is what comes, and
comes once, whoever consents and however often.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.errors import NotFoundError, RefusedError, StoreError
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.raw import RouteState
from gateway.state.reader import of_other_type

MOST_PROPOSALS = 50
MOST_BYTES = 1024 * 1024


class Moved(msgspec.Struct, frozen=True):
    """Ids that come onto a list and ids that go."""

    added: tuple[bytes, ...] = ()
    removed: tuple[bytes, ...] = ()


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a route or, with `segment`, of who is in a segment."""

    reasons: tuple[str, ...]  # what gives a candidate more
    revision: int
    route: str = ""
    segment: str = ""
    before: RouteState = RouteState()
    after: RouteState = RouteState()
    lists: dict[str, Moved] = {}

    @property
    def about(self) -> str:
        return f"segment {self.segment}" if self.segment else self.route


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A wish, whose it is, and until when it waits."""

    wish: Wish
    by: str
    token: str  # id of the token; "" = the one of the settings
    via: str
    origin: str
    why: str
    created: int
    expires: int


class Proposals:
    """Keeps proposals in the store, where every gateway sees them."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self._key = keys.proposals

    async def waiting(self, now: float) -> Mapping[str, Proposal]:
        """Those that still wait, oldest first; what nobody can read any more waits no longer."""
        link = await self._link()
        try:
            reply = await link.call("HGETALL", self._key)
        except StoreError as error:
            raise of_other_type(error, self._key, "hash") from None
        found: dict[str, Proposal] = {}
        over: list[bytes] = []
        for name, text in _pairs(reply).items():
            proposal = _read(text)
            if proposal is None or proposal.expires <= now:
                over.append(name)
            else:
                found[name.decode(errors="replace")] = proposal
        if over:
            await link.call("HDEL", self._key, *over)
        return dict(sorted(found.items(), key=lambda item: (item[1].created, item[0])))

    async def find(self, name: str, now: float) -> Proposal:
        waiting = await self.waiting(now)
        if name not in waiting:
            raise NotFoundError(f"No proposal {name[:64]!a} waits; see: graygate proposals list")
        return waiting[name]

    async def add(self, proposal: Proposal) -> str:
        """The name of the new proposal; RefusedError when too many wait or it is too long."""
        text = msgspec.json.encode(proposal)
        if len(text) > MOST_BYTES:
            raise RefusedError("That is too much for a proposal; propose it in portions.")
        if len(await self.waiting(proposal.created)) >= MOST_PROPOSALS:
            raise RefusedError(
                f"{MOST_PROPOSALS} proposals wait already; have some approved or refused first."
            )
        name = secrets.token_hex(4)
        await (await self._link()).call("HSET", self._key, name, text)
        return name

    async def drop(self, name: str) -> bool:
        """False = somebody else was faster."""
        return await (await self._link()).call("HDEL", self._key, name) == 1


def _read(text: bytes) -> Proposal | None:
    try:
        return msgspec.json.decode(text, type=Proposal)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _pairs(reply: object) -> Mapping[bytes, bytes]:
    if isinstance(reply, Mapping):
        return dict(reply)
    flat = reply if isinstance(reply, list) else []  # under RESP2
    return dict(zip(flat[::2], flat[1::2], strict=True))
