"""Reading a large list in slices, and finding what came and went between two readings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

import msgspec

from gateway.routing.lists import PackedTable, TableBuilder
from gateway.routing.unit import MAX_UNIT_BYTES
from gateway.state.history import Delta
from gateway.state.link import Link
from gateway.state.reconcile import unexplained
from gateway.state.snapshot import MemberList

SLICE_IDS = 1000


@dataclass(frozen=True, slots=True)
class Scanned:
    """A packed list and its ids, in slices, for telling later what came and went.

    Slices may name ids that are not on the list any more, and some twice.
    """

    table: PackedTable
    slices: tuple[bytes, ...]


class IdTooLong(Exception):
    """A list holds an id that no unit can ever be; the message says which and what to do."""


def check_lengths(ids: Iterable[bytes]) -> None:
    """Raise IdTooLong for an id that no unit can be: it would be sent to everybody for nothing."""
    longest = max(ids, key=len, default=b"")
    if len(longest) > MAX_UNIT_BYTES:
        raise IdTooLong(
            f"the id that begins with {longest[:32].decode(errors='replace')!a} has {len(longest)} "
            f"bytes, more than {MAX_UNIT_BYTES}; take it out with SREM, and list such a unit as "
            "sha256: and the hex digest of it"
        )


async def scan(
    link: Link, key: str, expected: int, is_wanted: Callable[[], bool]
) -> tuple[TableBuilder, list[bytes]] | None:
    """Read a large set and pack it, in slices; the next slice travels while one is packed.

    None when it is not wanted any more.
    """
    builder = TableBuilder(expected)
    slices: list[bytes] = []
    coming = asyncio.ensure_future(link.call("SSCAN", key, 0, "COUNT", SLICE_IDS))
    try:
        while True:
            cursor, ids = cast("tuple[bytes, list[bytes]]", await coming)
            if cursor != b"0":
                coming = asyncio.ensure_future(link.call("SSCAN", key, cursor, "COUNT", SLICE_IDS))
            check_lengths(ids)
            builder.add(ids)
            slices.append(msgspec.msgpack.encode(ids))
            if cursor == b"0":
                break
            if not is_wanted():
                return None
    finally:
        coming.cancel()
    await settled(builder)
    return builder, slices


async def settled(builder: TableBuilder) -> None:
    """Let the builder end what it has to do, in slices."""
    while not builder.settle():  # noqa: ASYNC110  # work in slices, nobody to be told by
        await asyncio.sleep(0)


async def apply(builder: TableBuilder, delta: Delta, slices: list[bytes] | None) -> None:
    """Put what a delta tells into a table that is being built, and the new ids into the slices."""
    await settled(builder)
    for ids in _sliced(delta.added):
        builder.add(ids)
        if slices is not None:
            slices.append(msgspec.msgpack.encode(ids))
        await asyncio.sleep(0)
    await settled(builder)
    for ids in _sliced(delta.removed):
        builder.discard(ids)
        await asyncio.sleep(0)


async def difference(
    before: MemberList, slices_before: tuple[bytes, ...] | None, after: Scanned, told: Delta
) -> Delta:
    """Which ids came and went between two readings that nobody told, found slice by slice."""
    held, now = before.container, after.table
    added = {unit async for unit in _members(after.slices, now) if unit not in held}
    if slices_before is not None:
        gone = {unit async for unit in _members(slices_before, held) if unit not in now}
        gone |= {unit for unit in before.added if unit not in now}
        return unexplained(Delta(frozenset(added), frozenset(gone)), told, now)
    # Packed by an earlier process: its ids are known only as hashes.
    gone = {unit for unit in (*before.added, *told.removed) if unit in held and unit not in now}
    is_unknown = len(before) + len(added) - len(gone) != len(now)
    found = unexplained(Delta(frozenset(added), frozenset(gone)), told, now)
    return replace(found, is_unknown=is_unknown)


async def _members(slices: Iterable[bytes], table: Container[bytes]) -> AsyncIterator[bytes]:
    """The ids in the slices that are on the list still, slice by slice."""
    for part in slices:
        for unit in msgspec.msgpack.decode(part, type=list[bytes]):
            if unit in table:
                yield unit
        await asyncio.sleep(0)


def _sliced(ids: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(ids)
    while part := list(islice(rest, SLICE_IDS)):
        yield part
