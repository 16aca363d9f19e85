"""What a worker must be told, given what it was told before.

`difference` is pure. A change of weights names one route and no list; a list that grew by an id
names that id. Large lists are not sent at all: they lie in files that all workers map, and each
file is written once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.process.channel import ListChange, Update
from gateway.routing.lists import PackedTable
from gateway.routing.spec import RouteSpec
from gateway.state.snapshot import MemberList, Snapshot


def difference(held: Snapshot | None, wanted: Snapshot, files: ListFiles) -> Update:
    """The least that leads from one snapshot to the other; from nothing: everything."""
    before = Snapshot() if held is None else held
    are_lists_same = wanted.lists is before.lists  # as after most changes, with thousands of them
    routes = (
        _slim(route.spec)
        for name, route in wanted.routes.items()
        if (old := before.routes.get(name)) is None
        or (old.spec is not route.spec and _slim(old.spec) != _slim(route.spec))
    )
    lists = (
        _list_change(before.lists.get(name), members, files)
        for name, members in (() if are_lists_same else wanted.lists.items())
        if not _is_same(before.lists.get(name), members)
    )
    removed = () if are_lists_same else before.lists
    return Update(
        sequence=wanted.sequence,
        is_full=held is None,
        routes=tuple(routes),
        removed_routes=tuple(name for name in before.routes if name not in wanted.routes),
        lists=tuple(lists),
        removed_lists=tuple(name for name in removed if name not in wanted.lists),
    )


def _slim(spec: RouteSpec) -> RouteSpec:
    """Without what people noted about the versions, and those that get no traffic."""
    versions = spec.versions
    if not spec.retired and not any(version.meta for version in versions.values()):
        return spec
    bare = {name: msgspec.structs.replace(version, meta={}) for name, version in versions.items()}
    return msgspec.structs.replace(spec, versions=bare, retired={})


def _is_same(held: MemberList | None, wanted: MemberList) -> bool:
    return held is wanted or (
        held is not None
        and held.generation == wanted.generation
        and held.added == wanted.added
        and held.removed == wanted.removed
    )


def _list_change(held: MemberList | None, wanted: MemberList, files: ListFiles) -> ListChange:
    ids: tuple[bytes, ...] | None = None
    path: str | None = None
    if held is None or held.generation != wanted.generation:
        if isinstance(wanted.base, PackedTable):
            path = str(files.path_of(wanted.name, wanted.generation))
        else:
            ids = tuple(wanted.base)
    return ListChange(
        name=wanted.name,
        generation=wanted.generation,
        ids=ids,
        path=path,
        added=tuple(wanted.added),
        removed=tuple(wanted.removed),
    )


class ListFiles:
    """The files of the large lists: each base is written once and deleted when nobody needs it.

    A worker that has mapped a file does not need it any more, nor does it need the name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[tuple[str, int], Path] = {}
        self._count = 0

    def __repr__(self) -> str:
        return f"<ListFiles: {len(self._paths)} in {self._folder}>"

    def sweep_leftovers(self) -> None:
        """Deletes what a control process before this one has left behind."""
        for path in self._folder.glob("list-*.table"):
            with contextlib.suppress(OSError):
                path.unlink()

    def is_missing_any(self, snapshot: Snapshot) -> bool:
        """Whether `write_missing` would have something to do."""
        return any(True for _ in self._missing(snapshot))

    def write_missing(self, snapshot: Snapshot) -> None:
        """Writes the bases of this snapshot that have no file yet; blocks, may raise OSError."""
        for key, table in list(self._missing(snapshot)):
            self._paths[key] = self._write(table)

    def _missing(self, snapshot: Snapshot) -> Iterator[tuple[tuple[str, int], PackedTable]]:
        for name, members in snapshot.lists.items():
            key = (name, members.generation)
            if isinstance(members.base, PackedTable) and key not in self._paths:
                yield key, members.base

    def path_of(self, name: str, generation: int) -> Path:
        return self._paths[name, generation]

    def keep_only(self, snapshots: Iterable[Snapshot]) -> None:
        """Deletes the files of all lists that are in none of these snapshots."""
        lists = [snapshot.lists for snapshot in snapshots]
        for name, generation in list(self._paths):  # a copy: another thread may be writing files
            holders = (one.get(name) for one in lists)
            if not any(held is not None and held.generation == generation for held in holders):
                with contextlib.suppress(OSError):
                    self._paths.pop((name, generation)).unlink()

    def _write(self, table: PackedTable) -> Path:
        # With the process in its name, no file is ever taken for one of an earlier control.
        self._count += 1
        path = self._folder / f"list-{os.getpid()}-{self._count}.table"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(table.buffer)
        except BaseException:
            path.unlink()
            raise
        return path
