"""The last good table on disk: what a gateway routes by when it starts and finds no store.

One readable file, `table.json`: a line that says what it is and proves that it is whole, then the
routes and small lists. Large lists lie beside it in files named by their content. Everything is
written under another name, synced, and renamed, so a reader finds the old table or the new one,
whenever the power goes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from gateway.errors import Problem
from gateway.routing.lists import PackedTable
from gateway.routing.spec import RouteSpec
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute, MemberList, Snapshot

FORMAT = 1
FILE = "table.json"


class _Seal(msgspec.Struct):
    """The first line."""

    graygate: str
    format: int
    sha256: str


class _Route(msgspec.Struct, omit_defaults=True):
    spec: RouteSpec
    state: RouteState
    revision: int
    changed_at_ms: int
    fingerprint: str
    lists_at: int | None = None  # the revision of its lists, when that is an earlier one


class _List(msgspec.Struct, omit_defaults=True):
    ids: list[bytes] | None = None
    file: str | None = None
    added: list[bytes] = []
    removed: list[bytes] = []


class _Body(msgspec.Struct):
    routes: dict[str, _Route]
    lists: dict[str, _List]


class _Encoded(msgspec.Struct):
    """A body with lists that were encoded before."""

    routes: dict[str, _Route]
    lists: dict[str, msgspec.Raw]


_Which = tuple[int, frozenset[bytes], frozenset[bytes]]


class LastGood:
    """Saves and loads snapshots in one folder; blocking, so call it off the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Encoding a million ids holds up the whole process, so it is done list by list, and only
        # for those that changed.
        self._encoded: dict[str, tuple[_Which, msgspec.Raw]] = {}

    @property
    def missing(self) -> Problem:
        """What `load` reports when nothing was ever saved."""
        return Problem(str(self._folder / FILE), "does not exist")

    def save(self, snapshot: Snapshot) -> None:
        """Raises OSError when the folder cannot be written; the old table is whole then."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        used: set[str] = set()
        encoded: dict[str, tuple[_Which, msgspec.Raw]] = {}
        for name, members in snapshot.lists.items():
            if isinstance(members.base, PackedTable):
                file = _table_file(name, members.base)
                used.add(file)
                if not (self._folder / file).exists():
                    self._write(file, members.base.buffer)
            known = self._encoded.get(name)
            # Which list it was, without holding on to its table.
            which = (members.generation, members.added, members.removed)
            encoded[name] = known if known and known[0] == which else (which, _encode(members))
        self._encoded = encoded
        routes = {
            name: _Route(
                held.spec,
                held.state,
                held.revision,
                held.changed_at_ms,
                held.fingerprint,
                snapshot.behind.get(name),
            )
            for name, held in snapshot.routes.items()
        }
        lists = {name: raw for name, (_, raw) in encoded.items()}
        body = msgspec.json.encode(_Encoded(routes, lists))
        seal = _Seal("last good table", FORMAT, hashlib.sha256(body).hexdigest())
        self._write(FILE, msgspec.json.encode(seal) + b"\n" + body + b"\n")
        self._tidy(used)

    def load(self) -> tuple[Snapshot | None, Problem | None]:
        """The saved table, or None and why there is none; never raises for a damaged file."""
        path = self._folder / FILE
        try:
            seal_line, _, body = path.read_bytes().partition(b"\n")
            seal = msgspec.json.decode(seal_line, type=_Seal)
            body = body.removesuffix(b"\n")
            if seal.format != FORMAT:
                what = f"has format {seal.format}, this version reads format {FORMAT}; left as is"
                return None, Problem(str(path), what)
            if hashlib.sha256(body).hexdigest() != seal.sha256:
                return None, Problem(str(path), "is cut short or was changed; it is ignored")
            saved = msgspec.json.decode(body, type=_Body)
            lists = {name: self._list(name, entry) for name, entry in saved.lists.items()}
        except FileNotFoundError as error:
            return None, Problem(str(error.filename or path), "does not exist")
        except (OSError, ValueError) as error:
            return None, Problem(str(path), f"cannot be used: {error}")
        behind = {n: one.lists_at for n, one in saved.routes.items() if one.lists_at is not None}
        snapshot = Snapshot(
            sequence=1,
            routes=_held(saved.routes),
            lists=MappingProxyType(lists),
            behind=MappingProxyType(behind),
        )
        return snapshot, None

    def _list(self, name: str, entry: _List) -> MemberList:
        if entry.file is None:
            return MemberList(name, frozenset(entry.ids or ()), 0)
        if entry.file != Path(entry.file).name:
            raise ValueError(f"the list file {entry.file!r} is not in the same folder")
        table = PackedTable((self._folder / entry.file).read_bytes())
        if _table_file(name, table) != entry.file:
            raise ValueError(f"the list file {entry.file} holds another list")
        return MemberList(name, table, 0, frozenset(entry.added), frozenset(entry.removed))

    def _write(self, name: str, content: bytes | memoryview) -> None:
        """Put a whole file in place, readable by its owner only."""
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=self._folder)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _tidy(self, used: set[str]) -> None:
        """Remove list files of earlier tables, and what a killed writer left behind."""
        for path in self._folder.iterdir():
            is_old_list = path.name.startswith("list-") and path.name not in used
            if is_old_list or path.name.startswith(".new-"):
                path.unlink(missing_ok=True)


def _encode(members: MemberList) -> msgspec.Raw:
    if not isinstance(members.base, PackedTable):
        return msgspec.Raw(msgspec.json.encode(_List(ids=sorted(members.base))))
    entry = _List(
        file=_table_file(members.name, members.base),
        added=sorted(members.added),
        removed=sorted(members.removed),
    )
    return msgspec.Raw(msgspec.json.encode(entry))


def _table_file(name: str, table: PackedTable) -> str:
    tag = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"list-{tag}-{table.digest:016x}.table"


def _held(routes: Mapping[str, _Route]) -> Mapping[str, HeldRoute]:
    return MappingProxyType(
        {
            name: HeldRoute(
                route.spec, route.state, route.revision, route.changed_at_ms, route.fingerprint
            )
            for name, route in routes.items()
        }
    )
