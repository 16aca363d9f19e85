"""What happened to a route, revision by revision, and how to get back to one of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import msgspec

from gateway.errors import NotFoundError, RefusedError, StoreError
from gateway.routing.lists import list_in_words
from gateway.state.keys import Keys
from gateway.state.raw import RouteState, number
from gateway.state.reader import of_other_type

ROWS_AT_ONCE = 4  # each may hold 20,000 ids

_SIGN_AND_SIZE = re.compile(rb"([+-])([0-9]{1,9}):")


class Calls(Protocol):
    """What reading a history needs of a link."""

    async def call(self, *args: str | bytes | int) -> object: ...


@dataclass(frozen=True, slots=True)
class Delta:
    """The ids that one list gained and lost in one revision."""

    added: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()
    is_unknown: bool = False  # edited by hand while nobody who knew the old members was watching

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.is_unknown)

    def without(self, other: Delta) -> Delta:
        """What is left of this delta when `other` is accounted for."""
        return Delta(
            self.added - other.added,
            self.removed - other.removed,
            self.is_unknown and not other.is_unknown,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision: who changed what, from where, why, and how the route stood afterwards."""

    revision: int
    at_ms: int
    by: str
    via: str  # api, cli, controller, restore, or redis for an edit made in the store itself
    origin: str
    why: str
    op: str  # change or delete
    fingerprint: str
    state: RouteState
    lists: str = ""  # a summary for people: "route/chat/whitelist/v2 +3 -1"
    deltas: Mapping[str, Delta] = field(default_factory=dict)
    prev: str = ""  # hash of the entry before
    chain: str = ""  # hash of this one; see gateway/state/chain.py
    is_whole: bool = True  # False = somebody wrote into it, and `state` could not be read


async def read_entries(
    link: Calls, keys: Keys, route: str, *, after: int = 0, most: int = 1_000_000
) -> list[Entry]:
    """The revisions above `after`, oldest first."""
    reply = await _range(link, "XRANGE", keys.history(route), f"{after + 1}-0", "+", most)
    return (await _parsed(reply))[:most]


async def read_newest_entries(link: Calls, keys: Keys, route: str, most: int) -> list[Entry]:
    """The newest revisions, newest first."""
    reply = await _range(link, "XREVRANGE", keys.history(route), "+", "-", most)
    rows = reply if isinstance(reply, list) else []
    return (await _parsed(rows[::-1]))[::-1][:most]


async def read_heads(link: Calls, keys: Keys, route: str, revisions: Iterable[int]) -> list[Entry]:
    """These revisions, as far as there are such, without what lists gained and lost."""
    key = keys.history(route)
    rows: list[object] = []
    for revision in revisions:
        at = f"{revision}-1"
        try:
            found = await link.call("XRANGE", key, at, at)
        except StoreError as error:
            raise of_other_type(error, key, "stream") from None
        rows += found if isinstance(found, list) else []
    return _entries(rows)


async def _range(link: Calls, command: str, key: str, start: str, end: str, most: int) -> object:
    """Of each revision the stream has up to two entries."""
    try:
        return await link.call(command, key, start, end, "COUNT", 2 * most)
    except StoreError as error:
        raise of_other_type(error, key, "stream") from None


async def _parsed(rows: object) -> list[Entry]:
    """In a thread when there is much to do: a million ids would hold up the loop for seconds."""
    if isinstance(rows, list) and len(rows) > ROWS_AT_ONCE:
        return await asyncio.to_thread(_entries, rows)
    return _entries(rows)


def _entries(rows: object) -> list[Entry]:
    """Entries of a range of the stream; ids that no head belongs to are passed over."""
    entries: list[Entry] = []
    deltas: dict[int, Mapping[str, Delta]] = {}
    for entry_id, flat in rows if isinstance(rows, list) else []:
        number, _, kind = entry_id.partition(b"-")
        pairs = dict(zip(flat[::2], flat[1::2], strict=True))
        if kind == b"0":
            deltas[int(number)] = {
                name.decode(errors="replace"): parse_delta(text) for name, text in pairs.items()
            }
        elif kind == b"1" and b"state" in pairs:
            entries.append(_entry(int(number), pairs, deltas.get(int(number), {})))
    return entries


def _entry(revision: int, pairs: Mapping[bytes, bytes], deltas: Mapping[str, Delta]) -> Entry:
    def text(name: str) -> str:
        return pairs.get(name.encode(), b"").decode(errors="replace")

    state: RouteState | None = None
    with suppress(msgspec.DecodeError, RecursionError):
        state = msgspec.json.decode(pairs[b"state"], type=RouteState)
    return Entry(
        revision=revision,
        at_ms=number(pairs.get(b"at", b"")) or 0,
        by=text("by"),
        via=text("via"),
        origin=text("from"),
        why=text("why"),
        op=text("op") or "change",
        fingerprint=text("print"),
        state=state or RouteState(),
        is_whole=state is not None,
        lists=text("lists"),
        deltas=deltas,
        prev=text("prev"),
        chain=text("chain"),
    )


def parse_delta(text: bytes) -> Delta:
    """Read `+5:alice-3:bob`; `?` in front, or what does not parse, makes it unknown."""
    if (alike := _all_alike(text)) is not None:
        return alike
    added: set[bytes] = set()
    removed: set[bytes] = set()
    at = 1 if text.startswith(b"?") else 0
    is_unknown = at == 1
    known: dict[bytes, tuple[set[bytes], int]] = {}  # of all ids few sizes
    while at < len(text):
        begin = text.find(b":", at, at + 11) + 1
        meaning = known.get(text[at:begin])
        if meaning is None:
            head = _SIGN_AND_SIZE.match(text, at)
            if head is None:
                is_unknown = True
                break
            meaning = known[head[0]] = (added if head[1] == b"+" else removed, int(head[2]))
        ids, size = meaning
        at = begin + size
        if at > len(text):
            is_unknown = True
            break
        ids.add(text[begin:at])
    return Delta(frozenset(added), frozenset(removed), is_unknown)


def _all_alike(text: bytes) -> Delta | None:
    """The same when all ids come, or all go, and are of one size: twenty times as quick."""
    head = _SIGN_AND_SIZE.match(text)
    if head is None or not (size := int(head[2])):
        return None
    _, *ids = text.split(head[0])
    if set(map(len, ids)) != {size}:
        return None
    return Delta(frozenset(ids)) if head[1] == b"+" else Delta(removed=frozenset(ids))


def combine(deltas: Iterable[Delta]) -> Delta:
    """What several deltas, oldest first, amount to."""
    added: set[bytes] = set()
    removed: set[bytes] = set()
    is_unknown = False
    for delta in deltas:
        # In place: copying what fifty imports of 20,000 ids add up to at each step took seconds.
        is_unknown = is_unknown or delta.is_unknown
        added -= delta.removed
        added |= delta.added
        removed -= delta.added
        removed |= delta.removed
    return Delta(frozenset(added), frozenset(removed), is_unknown)


def deltas_by_list(entries: Sequence[Entry]) -> dict[str, Delta]:
    """What these entries, oldest first, did to each list."""
    names = dict.fromkeys(name for entry in entries for name in entry.deltas)
    return {
        name: combine(entry.deltas[name] for entry in entries if name in entry.deltas)
        for name in names
    }


@dataclass(frozen=True, slots=True)
class Return:
    """What must be written to bring a route back to an earlier revision."""

    state: RouteState
    lists: Mapping[str, Delta]


def way_back(
    route: str, revision: int, entries: Sequence[Entry], *, may_be_deleted: bool = False
) -> Return:
    """The change that undoes all `entries` above `revision`; they begin with `revision` itself.

    Lists are brought back by undoing what each later revision did to them, newest first.
    """
    if not entries or entries[0].revision != revision:
        raise NotFoundError(
            f"{route} has no revision {revision} in its history; see: graygate history {route}"
        )
    goal = entries[0]
    if goal.op == "delete" and not may_be_deleted:
        raise RefusedError(f"revision {revision} of {route} is its deletion; choose another one")
    if not goal.is_whole:
        raise RefusedError(f"revision {revision} of {route} cannot be read; choose another one")
    for earlier, entry in pairwise(entries):
        if entry.revision != earlier.revision + 1 or (entry.lists and not entry.deltas):
            raise RefusedError(
                f"something was removed from the history of {route} before revision "
                f"{entry.revision}, so earlier lists are not known; choose a revision from "
                f"{entry.revision} on"
            )
        for name, delta in entry.deltas.items():
            if delta.is_unknown:
                raise RefusedError(
                    f"revision {entry.revision} changed {list_in_words(name)} in a way that nobody "
                    "saw, so its earlier members are not known; choose a revision from "
                    f"{entry.revision} on"
                )
    undone = [
        {name: Delta(d.removed, d.added) for name, d in entry.deltas.items()}
        for entry in reversed(entries[1:])
    ]
    names = dict.fromkeys(name for step in undone for name in step)
    return Return(
        goal.state,
        {name: combine(step[name] for step in undone if name in step) for name in names},
    )
