"""Reading a large list in slices, and finding what came and went between two readings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Iterable
from dataclasses import dataclass
from typing import cast

import msgspec

from gateway.routing.lists import PackedTable, TableBuilder
from gateway.routing.unit import MAX_UNIT_BYTES
from gateway.state.history import Delta
from gateway.state.link import Link
from gateway.state.snapshot import MemberList

SLICE_IDS = 1000


@dataclass(frozen=True, slots=True)
class Scanned:
    """A packed list and its ids, in slices, for telling later what came and went."""

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


async def scan(link: Link, key: str, expected: int) -> Scanned:
    """Read a large set and pack it, in slices; the next slice travels while one is packed."""
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
    finally:
        coming.cancel()
    while not builder.settle():  # noqa: ASYNC110  # work in slices, nobody to be told by
        await asyncio.sleep(0)
    return Scanned(builder.finish(), tuple(slices))


async def difference(
    before: MemberList, slices_before: tuple[bytes, ...] | None, after: Scanned
) -> Delta:
    """Which ids came and went between two scans, found slice by slice."""
    added = {unit async for unit in _strangers(after.slices, before.container)}
    removed = {unit for unit in before.added if unit not in after.table}
    if slices_before is None:
        # Packed by an earlier process: its ids are known only as hashes.
        gone = len(before) + len(added) - len(removed) != len(after.table)
        return Delta(frozenset(added), frozenset(removed), is_unknown=gone)
    async for unit in _strangers(slices_before, after.table):
        if unit not in before.removed:
            removed.add(unit)
    return Delta(frozenset(added), frozenset(removed))


async def _strangers(slices: Iterable[bytes], known: Container[bytes]) -> AsyncIterator[bytes]:
    """The ids that are not known, found slice by slice."""
    for part in slices:
        for unit in msgspec.msgpack.decode(part, type=list[bytes]):
            if unit not in known:
                yield unit
        await asyncio.sleep(0)
