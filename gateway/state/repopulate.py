"""Putting the routes in force back into a store that lost them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from gateway.errors import RefusedError
from gateway.routing.lists import PackedTable
from gateway.state.keeper import Keeper
from gateway.state.keys import Part
from gateway.state.link import Link
from gateway.state.members import ListReader
from gateway.state.needs import lists_of
from gateway.state.release import ReleaseUpdate
from gateway.state.snapshot import HeldRoute, MemberList
from gateway.state.write import Author, Change, Writer, list_key

IDS_PER_COMMAND = 1000


async def repopulate(
    link: Link, keeper: Keeper, lists: ListReader, writer: Writer, author: Author
) -> dict[str, int]:
    """Write every lost route back as it is in force, lists first; route -> its new revision.

    While a route is lost its lists are not read, so nobody ever routes by a list half put back.
    """
    held = keeper.current
    lost = {name: held.routes[name] for name in sorted(held.routes) if keeper.is_lost(name)}
    needed: dict[str, MemberList] = {
        list_name: held.lists[list_name]
        for route in lost.values()
        for list_name in sorted(lists_of(route.spec))
        if list_name in held.lists
    }
    for members in needed.values():
        if isinstance(members.base, PackedTable) and lists.slices_of(members.name) is None:
            raise RefusedError(
                f"The {len(members)} ids of {members.name} are known only as hashes, so nothing "
                "was put back; import that list into the store, then try again."
            )
    for members in needed.values():
        key = list_key(writer.keys, members.name)
        for ids in _portions(_ids(members, lists)):
            await link.call("SADD", key, *ids)
    return {name: await _put_back(link, writer, route, author) for name, route in lost.items()}


async def _put_back(link: Link, writer: Writer, route: HeldRoute, author: Author) -> int:
    name, salt = route.spec.name, route.spec.salt
    release = None
    if salt.startswith(f"{name}:") and not route.state.route.get("salt"):
        # Without it the salt would be another one, and every user be dealt anew.
        key = writer.keys.part(name, Part.RELEASE)
        known, step = await link.transaction([("HGET", key, "id"), ("HGET", key, "step")])
        if not known:
            at = int(step) if isinstance(step, bytes) and step.isdigit() else 0
            release = ReleaseUpdate(at, {"id": salt.removeprefix(f"{name}:")})
    change = Change(lambda _: route.state, release=release)
    return (await writer.change(name, change, author)).revision


def _ids(members: MemberList, lists: ListReader) -> Iterator[bytes]:
    if isinstance(members.base, frozenset):
        yield from members.base
        return
    on_list = members.container
    for part in lists.slices_of(members.name) or ():
        for unit in msgspec.msgpack.decode(part, type=list[bytes]):
            if unit in on_list:
                yield unit
    yield from members.added


def _portions(ids: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(ids)
    while portion := list(islice(rest, IDS_PER_COMMAND)):
        yield portion
