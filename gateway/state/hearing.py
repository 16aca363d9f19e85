"""What the histories tell of lists: each entry is taken in once, whichever connection reads it.

The watch reads histories on its connection, and whoever reads a large list does on another one, so
that it knows of everything that its reading may have seen. What is told of a list waits here until
it is part of the list that is held; with the revision, so that it can be compared with a count of
just that moment.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from gateway.errors import StoreError, StoreUnavailable
from gateway.state.history import Delta, combine, read_entries
from gateway.state.keys import Keys, SegmentKeys
from gateway.state.link import Link
from gateway.state.reader import of_other_type
from gateway.state.snapshot import HeldRoute
from gateway.state.write import list_key

REVISIONS_AT_ONCE = 4  # each may tell of 20,000 ids


class Hearing:
    """`told` is what was heard of a list and is not part of it yet."""

    def __init__(
        self, keys: Keys, seen: dict[str, int], on_told: Callable[[str, Delta], None]
    ) -> None:
        """`seen` holds the newest revision that is known of each route."""
        self._keys = keys
        self._segment_keys = SegmentKeys(keys.prefix)
        self._seen = {f"route/{route}": revision for route, revision in seen.items()}
        self._on_told = on_told
        self._told: dict[str, list[tuple[int, Delta]]] = {}
        self._counts: Counter[str] = Counter()
        self._heard_at: dict[str, float] = {}
        self._window_of = ""
        self._window: list[Delta] = []

    def __repr__(self) -> str:
        waiting = ", ".join(f"{name}: {self.size(name)} ids" for name in self._told)
        return f"<Hearing, {waiting or 'nothing'} waiting>"

    # Listening

    async def hear_route(self, link: Link, route: str, newest: int) -> None:
        """Take in what is new; `newest` is the revision at which the route was read."""
        owner = f"route/{route}"
        if owner not in self._seen:
            self._seen[owner] = newest
        elif newest < self._seen[owner]:
            # Somebody else may have heard more since; or somebody deleted the history.
            newest = await self._newest(link, owner)
            if newest < self._seen[owner]:
                self._seen[owner] = newest
        if newest > self._seen[owner]:
            await self._hear(link, owner)
            self._seen[owner] = max(self._seen[owner], newest)  # though it could not be read

    async def hear_segments(self, link: Link, segments: Iterable[str]) -> None:
        owners = [f"segment/{name}" for name in segments]
        replies = await link.pipeline([self._newest_command(owner) for owner in owners])
        for owner, reply in zip(owners, replies, strict=True):
            if not isinstance(reply, list):
                continue  # its history is of another type: nobody can write to it either
            newest = _revision(reply)
            if newest > self._seen.get(owner, newest):
                await self._hear(link, owner)
                newest = max(self._seen[owner], newest)
            self._seen[owner] = newest

    async def hear_list(self, link: Link, name: str) -> None:
        """Take in all that the history tells of this list up to now."""
        owner = owner_of(name)
        try:
            if owner not in self._seen:
                self._seen[owner] = await self._newest(link, owner)
            await self._hear(link, owner)
        except StoreUnavailable:
            raise
        except StoreError:
            return  # it is of another type, or not ours to read: then nobody tells anything

    async def count(self, link: Link, name: str) -> tuple[int, int]:
        """How many ids the list has, and the revision of that moment; it was heard up to there."""
        card, revision = await self._at_once(link, name, "SCARD")
        if isinstance(card, StoreError):
            raise of_other_type(card, list_key(self._keys, name), "set")
        return cast("int", card), revision

    async def members(self, link: Link, name: str) -> tuple[object, int]:
        """What the store answers about all ids of the list, and the revision of that moment."""
        return await self._at_once(link, name, "SMEMBERS")

    async def _at_once(self, link: Link, name: str, command: str) -> tuple[object, int]:
        """The answer and the revision belong together; all up to there was heard."""
        owner = owner_of(name)
        reply, newest = await link.transaction(
            [(command, list_key(self._keys, name)), self._newest_command(owner)]
        )
        await self.hear_list(link, name)
        return reply, _revision(newest) if isinstance(newest, list) else self.seen(owner)

    async def _hear(self, link: Link, owner: str) -> None:
        kind, _, name = owner.partition("/")
        keys = self._keys if kind == "route" else self._segment_keys
        is_more = True
        while is_more:
            after = self._seen[owner]
            entries = await read_entries(link, keys, name, after=after, most=REVISIONS_AT_ONCE)
            is_more = len(entries) == REVISIONS_AT_ONCE
            for entry in entries:
                # While we waited for this, another connection may have brought it.
                if entry.revision > self._seen[owner]:
                    self._seen[owner] = entry.revision
                    for list_name, delta in entry.deltas.items():
                        self._note(list_name, entry.revision, delta)

    async def _newest(self, link: Link, owner: str) -> int:
        reply = await link.call(*self._newest_command(owner))
        return _revision(cast("list[object]", reply))

    def _newest_command(self, owner: str) -> tuple[str | int, ...]:
        kind, _, name = owner.partition("/")
        keys = self._keys if kind == "route" else self._segment_keys
        return ("XREVRANGE", keys.history(name), "+", "-", "COUNT", 1)

    def _note(self, name: str, revision: int, delta: Delta) -> None:
        if not delta:
            return
        self._told.setdefault(name, []).append((revision, delta))
        self._counts[name] += 1
        self._heard_at[name] = time.monotonic()
        if name == self._window_of:
            self._window.append(delta)
        self._on_told(name, delta)

    # What was heard

    def seen(self, owner: str) -> int:
        """The newest revision that was heard of `route/R` or `segment/S`."""
        return self._seen.get(owner, 0)

    def behind(self, routes: Mapping[str, HeldRoute]) -> dict[str, int]:
        """At which revision the lists of a route stand, where the route itself is further on."""
        stands = {f"route/{name}": held.revision for name, held in routes.items()}
        for owner in stands.keys() & self._seen.keys():
            stands[owner] = min(stands[owner], self._seen[owner])
        for name, waiting in self._told.items():
            if (owner := owner_of(name)) in stands:
                stands[owner] = min(stands[owner], waiting[0][0] - 1)
        return {
            name: stands[f"route/{name}"]
            for name, held in routes.items()
            if stands[f"route/{name}"] < held.revision
        }

    @property
    def names(self) -> list[str]:
        """The lists of which something waits."""
        return list(self._told)

    def size(self, name: str) -> int:
        """How many ids were told and wait."""
        return sum(len(d.added) + len(d.removed) for _, d in self._told.get(name, ()))

    def told(self, name: str, revision: int) -> Delta:
        """What waits of this list, up to this revision."""
        return combine(delta for at, delta in self._told.get(name, ()) if at <= revision)

    def take(self, name: str, revision: int | None = None) -> Delta:
        """The same, and it does not wait any more; without a revision all of it."""
        waiting = self._told.pop(name, [])
        taken = [delta for at, delta in waiting if revision is None or at <= revision]
        if len(taken) < len(waiting):
            self._told[name] = waiting[len(taken) :]
        return combine(taken)

    def times(self, name: str) -> int:
        """How often something was told of this list."""
        return self._counts[name]

    def quiet_seconds(self, name: str) -> float:
        """For how long nothing was told of this list."""
        return time.monotonic() - self._heard_at.get(name, float("-inf"))

    # While a list is scanned

    def open_window(self, name: str) -> None:
        """From now on keep apart what is told of this list: a scan may see it, or not."""
        self._window_of, self._window = name, []

    def drain_window(self) -> Delta:
        """What was told since the window was opened, or drained."""
        window, self._window = combine(self._window), []
        return window

    def close_window(self) -> None:
        self._window_of, self._window = "", []

    def forget(self, name: str) -> None:
        self._told.pop(name, None)


def owner_of(name: str) -> str:
    """Whose history tells of this list: `route/R` or `segment/S`."""
    return "/".join(name.split("/", 2)[:2])


def _revision(newest: list[object]) -> int:
    """Of the newest entry of a stream, 0 when it has none."""
    match newest:
        case [[bytes(entry_id), *_], *_]:
            return int(entry_id.partition(b"-")[0])
    return 0
