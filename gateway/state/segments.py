"""Segments: sets of units with a history of their own, made here or by hand.

A segment belongs to no route, so its revisions are its own. What people do to it in the store by
hand is recorded by the leader as far as a route in force decides by it: nobody watches the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from gateway.errors import (
    ConflictError,
    ConsentError,
    InUseError,
    NotFoundError,
    RefusedError,
    StoreDenied,
    StoreError,
)
from gateway.routing.exposure import segment_raised
from gateway.routing.lists import segment_name
from gateway.routing.rules import segments_of
from gateway.state.history import Delta, read_entries, read_newest_entries, way_back
from gateway.state.keys import NAME_RULE, Keys, Part, SegmentKeys, is_name
from gateway.state.link import Link
from gateway.state.pending import portions
from gateway.state.proposals import Moved, Wish
from gateway.state.reader import of_other_type
from gateway.state.segment_script import SEGMENT
from gateway.state.snapshot import Snapshot
from gateway.state.write import (
    IDS_PER_REVISION,
    MAX_IDS_PER_CHANGE,
    STREAM_ENTRIES,
    Author,
    Written,
    check_ids,
    signed_ids,
    told_ids,
)

KEYS_AT_ONCE = 1000
LOOKING_SECONDS = 2.0  # in a store that is shared with millions of foreign keys


class Segments:
    """Reads and writes segments; one link at a time, opened by whoever owns the connections."""

    def __init__(
        self, link: Callable[[], Awaitable[Link]], keys: Keys, snapshot: Callable[[], Snapshot]
    ) -> None:
        self._link = link
        self._snapshot = snapshot
        self.keys = SegmentKeys(keys.prefix)

    def users(self) -> Mapping[str, list[str]]:
        """Segment -> the routes in force whose rules ask for it."""
        found: dict[str, list[str]] = {}
        for name, held in self._snapshot().routes.items():
            asked = {one for rule in held.spec.rules for one in segments_of(rule.when)}
            for segment in asked:
                found.setdefault(segment, []).append(name)
        return found

    async def names(self) -> tuple[list[str], bool]:
        """The segments in the store and those that rules ask for; False = there may be more."""
        link, found = await self._link(), set(self.users())
        cursor: bytes | str = "0"
        until = time.monotonic() + LOOKING_SECONDS
        while True:
            try:
                reply = await link.call(
                    "SCAN", cursor, "MATCH", self.keys.segment("*"), "COUNT", KEYS_AT_ONCE
                )
            except StoreDenied:
                return sorted(found), False
            cursor, keys = cast("tuple[bytes, list[bytes]]", reply)
            places = (self.keys.place(key.decode(errors="replace")) for key in keys)
            found |= {one.name for one in places if one and one.part is Part.SEGMENT}
            if cursor in (b"0", "0"):
                return sorted(found), True
            if time.monotonic() > until:
                return sorted(found), False

    async def counts(self, names: list[str]) -> dict[str, int]:
        """How many ids each has; -1 for a key that is no set."""
        link = await self._link()
        replies = await link.pipeline([("SCARD", self.keys.segment(name)) for name in names])
        pairs = zip(names, replies, strict=True)
        return {name: reply if isinstance(reply, int) else -1 for name, reply in pairs}

    async def members(self, name: str, most: int) -> tuple[int, list[bytes]]:
        """How many ids there are, and up to `most` of them."""
        key = self.keys.segment(name)
        link = await self._link()
        replies = await link.pipeline([("SCARD", key), ("SRANDMEMBER", key, most)])
        for reply in replies:
            if isinstance(reply, StoreError):
                raise of_other_type(reply, key, "set")
        count, ids = replies
        return cast("int", count), cast("list[bytes]", ids)

    async def revision(self, name: str) -> int:
        newest = await read_newest_entries(await self._link(), self.keys, name, 1)
        return newest[0].revision if newest else 0

    async def change(
        self, name: str, delta: Delta, author: Author, expected_revision: int | None = None
    ) -> Written:
        """Add and remove ids in one step; the segment is made by its first id."""
        if len(delta.added) + len(delta.removed) > MAX_IDS_PER_CHANGE:
            raise RefusedError(
                f"These ids are too many for one change; send at most {MAX_IDS_PER_CHANGE}."
            )
        check_ids(delta)
        if author.needs_consent:
            await self._must_lower(name, delta, author, expected_revision)
        return await self._write(name, signed_ids(delta), author, expected_revision)

    async def _must_lower(
        self, name: str, delta: Delta, author: Author, expected: int | None
    ) -> None:
        """Raise ConsentError when rules may give a candidate more because of this."""
        specs = {route: held.spec for route, held in self._snapshot().routes.items()}
        reasons = segment_raised(name, specs, bool(delta.added), bool(delta.removed))
        if reasons:
            await self._must_stand(name, expected)
            moved = Moved(tuple(sorted(delta.added)), tuple(sorted(delta.removed)))
            revision = await self.revision(name)
            wish = Wish(
                reasons=reasons, revision=revision, segment=name, lists={segment_name(name): moved}
            )
            raise ConsentError(f"{'; '.join(reasons)}: that takes two people.", (wish,), author.why)

    async def delete(
        self, name: str, author: Author, expected_revision: int | None = None
    ) -> Written:
        """Take out all ids, in as many revisions as that takes; they can be brought back."""
        await self._must_stand(name, expected_revision)
        used = self.users().get(name)
        if used:
            raise InUseError(
                f"The segment {name} is in use: rules of {', '.join(used)} ask for it."
            )
        if not (await self.members(name, 1))[0]:
            raise NotFoundError(f"There is no segment {name[:64]!a}, or nobody is in it.")
        expected = expected_revision
        while True:
            count, ids = await self.members(name, IDS_PER_REVISION)
            op = "delete" if count <= len(ids) else "change"
            words = signed_ids(Delta(removed=frozenset(ids)))
            written = await self._write(name, words, author, expected, op=op)
            if op == "delete":
                return written
            expected = written.revision

    async def revert(
        self, name: str, revision: int, author: Author, expected_revision: int | None = None
    ) -> Written:
        """Bring the members back to how they stood at `revision`; new revisions."""
        await self._must_stand(name, expected_revision)
        link = await self._link()
        entries = await read_entries(link, self.keys, name, after=max(revision, 1) - 1)
        goal = await asyncio.to_thread(way_back, name, revision, entries, may_be_deleted=True)
        newest = entries[-1].revision
        written = Written(newest, changed=False)
        delta = goal.lists.get(segment_name(name), Delta())
        if author.needs_consent:
            if len(delta.added) + len(delta.removed) > IDS_PER_REVISION:
                raise RefusedError(
                    f"This moves more than {IDS_PER_REVISION} ids, too many for the consent of a "
                    "second person; go back in steps."
                )
            await self._must_lower(name, delta, author, newest)
        for delta in portions(goal.lists.get(segment_name(name), Delta()), IDS_PER_REVISION):
            step = await self._write(name, signed_ids(delta), author, written.revision)
            written = Written(step.revision, written.changed or step.changed)
        return written

    async def record(
        self, name: str, delta: Delta, author: Author, revision: int, term: str
    ) -> Written:
        """Append to the history what was done by hand, if nobody wrote since `revision`."""
        return await self._write(name, told_ids(delta), author, revision, term=term)

    async def _must_stand(self, name: str, expected: int | None) -> None:
        _check_name(name)
        if expected is not None:
            revision = await self.revision(name)
            if revision != expected:
                raise _conflict(name, revision)

    async def _write(
        self,
        name: str,
        words: list[bytes],
        author: Author,
        expected: int | None,
        *,
        op: str = "change",
        term: str = "",
    ) -> Written:
        _check_name(name)
        keys = [self.keys.segment(name), self.keys.segment_history(name), self.keys.leader]
        head: dict[str, str | bytes] = {
            "op": op, "by": author.by, "via": author.via, "from": author.origin,
            "why": author.why, "state": "{}",
        }  # fmt: skip
        arguments: list[str | bytes | int] = [
            "" if expected is None else expected, STREAM_ENTRIES, segment_name(name), term,
            len(head),
        ]  # fmt: skip
        for field, value in head.items():
            arguments += [field, value]
        reply = await (await self._link()).script(SEGMENT, keys, [*arguments, *words])
        match reply:
            case [b"ok" | b"same" as outcome, int(revision), _]:
                return Written(revision, outcome == b"ok")
            case [b"conflict", int(revision), _]:
                raise _conflict(name, revision)
            case [b"term", *_]:
                raise ConflictError("This gateway is no longer the leader; the new leader goes on.")
            case [b"type", int(place), _]:
                key = keys[place - 1]
                raise RefusedError(
                    f"{key} is of another type than the contract says, so nothing was written; "
                    f"look at it with TYPE {key}, then remove it with: DEL {key}"
                )
            case [b"full", *_]:
                raise RefusedError(f"{keys[1]} takes no further entry; begin anew: DEL {keys[1]}")
        raise StoreError("The store answered the segment script in an unknown form.")


def _check_name(name: str) -> None:
    if not is_name(name):
        raise RefusedError(f"{name[:64]!a} is no segment name: use {NAME_RULE}.")


def _conflict(name: str, revision: int) -> ConflictError:
    return ConflictError(
        f"Segment {name} stands at revision {revision} now; nothing was written. Read it again."
    )
