"""Writing: every change is a compare-and-set with its history entry in the same step.

A writer reads the route, edits what it read, has the result judged like anything an operator
types, and lets the script write it only if the route still stands as it was read. An edit by
redis-cli that the history does not hold yet is recorded first, so it counts as a writer too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.errors import (
    ConflictError,
    ConsentError,
    InUseError,
    NotFoundError,
    Problem,
    RefusedError,
    StoreError,
)
from gateway.routing.exposure import raised
from gateway.routing.lists import blacklist_name, list_in_words, whitelist_name
from gateway.routing.spec import RouteSpec
from gateway.state.contract import MAX_RULES, validate
from gateway.state.history import Delta, read_entries, way_back
from gateway.state.id_lines import wrong_with
from gateway.state.keys import NAME_RULE, Keys, Part, is_name
from gateway.state.link import Link
from gateway.state.pending import portions
from gateway.state.proposals import Moved, Wish
from gateway.state.raw import RawRoute, RouteState
from gateway.state.reader import of_other_type, read_route_names, read_routes
from gateway.state.release import ReleaseUpdate, moved_on, release_keys
from gateway.state.script import WRITE
from gateway.state.versions import UrlRule, is_retired

HISTORY_REVISIONS = 10_000
STREAM_ENTRIES = 2 * HISTORY_REVISIONS  # a revision is up to two
MAX_IDS_PER_CHANGE = 100_000
IDS_PER_REVISION = 20_000  # of a list that we change by ourselves, in as many steps as it takes
MAX_ID_BYTES = 256
WORDS_PER_COMMAND = 1000  # Lua unpacks some 8000 at most
ATTEMPTS = 5  # of a change that names no revision and so may be tried on a newer state

Edit = Callable[[RouteState], RouteState]
Require = Callable[[Link, RouteState, RouteState], Awaitable[None]]  # state before, after
Operation = tuple[
    int, str, tuple[str | bytes | int, ...]
]  # key number of the script, command, arguments


@dataclass(frozen=True, slots=True)
class Author:
    """Who wants a change, through what, from where, and why."""

    by: str
    via: str
    origin: str = ""
    why: str = ""
    needs_consent: bool = False  # to give a candidate more


@dataclass(frozen=True, slots=True)
class Written:
    """The revision a route stands at after a write; `changed` is False when nothing differed."""

    revision: int
    changed: bool


def _unchanged(state: RouteState) -> RouteState:
    return state


@dataclass(frozen=True, slots=True)
class Change:
    """What a writer wants: small keys through `edit`, lists by what they gain and lose."""

    edit: Edit = _unchanged
    lists: Mapping[str, Delta] = field(default_factory=dict)
    expected_revision: int | None = None  # None = whatever it is now
    term: str = ""  # of the leader's lease, when the leader writes
    release: ReleaseUpdate | None = None  # what is written to the release in the same step
    require: Require | None = None  # raises when the route, as it was read, must not be changed so
    is_way_back: bool = False  # to ids that were on the lists before, whatever hand put them there


class Writer:
    """Writes routes; one link at a time, opened by whoever owns the connections."""

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        keys: Keys,
        is_in_force: Callable[[str], bool] = lambda _: False,
        wrong_place: UrlRule | None = None,
    ) -> None:
        self._link = link
        self._wrong_place = wrong_place
        self._is_in_force = is_in_force  # a route may be, though the store lost it
        self.keys = keys

    async def change(self, route: str, change: Change, author: Author) -> Written:
        """Apply `change` or raise: RefusedError, ConflictError, StoreError. Never half of it."""
        _check_lists(route, change)
        link = await self._link()
        for _ in range(ATTEMPTS):
            raw = await self._recorded(link, route)
            if change.expected_revision not in (None, raw.revision):
                raise _conflict(route, raw.revision, change.expected_revision)
            before = raw.state()
            after = change.edit(before)
            if change.require is not None:
                await change.require(link, before, after)
            spec = self.judge(raw, after)
            self._check_whitelists(route, after, change.lists)
            if author.needs_consent and change.release is None:
                self._must_lower(raw, after, spec, change.lists, author)
            operations = [
                *_small_operations(before, after, route),
                *_list_operations(change.lists, signed_ids),
            ]
            written = await self._write(
                link, raw, after, operations, author, tuple(change.lists), term=change.term,
                release=change.release,
            )  # fmt: skip
            if written is not None:
                return written
            if change.expected_revision is not None:
                break
        raise _conflict(route, None, change.expected_revision)

    async def revert(
        self, route: str, revision: int, author: Author, expected_revision: int | None = None
    ) -> Written:
        """Bring small keys and lists back to how they stood at `revision`; a new revision.

        Where a list must gain or lose very many ids, further revisions follow with the rest.
        """
        if revision < 1:
            raise NotFoundError(f"{route} has no revision {revision}: its history begins at 1")
        link = await self._link()
        await self._recorded(link, route)
        entries = await read_entries(link, self.keys, route, after=revision - 1)
        goal = await asyncio.to_thread(way_back, route, revision, entries)  # maybe of many ids
        newest = entries[-1].revision
        if expected_revision not in (None, newest):
            raise _conflict(route, newest, expected_revision)
        steps = {n: list(portions(d, IDS_PER_REVISION)) for n, d in goal.lists.items()}
        if author.needs_consent and max(map(len, steps.values()), default=0) > 1:
            raise RefusedError(
                f"This moves more than {IDS_PER_REVISION} ids, too many for the consent of a "
                "second person; go back in steps."
            )
        written = Written(newest, changed=False)
        for number in range(max(1, *map(len, steps.values())) if steps else 1):
            lists = {name: deltas[number] for name, deltas in steps.items() if number < len(deltas)}
            change = Change(
                lambda _: goal.state, lists, expected_revision=written.revision, is_way_back=True
            )
            step = await self.change(route, change, author)
            written = Written(step.revision, written.changed or step.changed)
        return written

    async def delete(
        self, route: str, author: Author, expected_revision: int | None = None
    ) -> Written:
        """Remove a route on purpose; its history and its lists stay, so it can come back."""
        link = await self._link()
        raw = await self._recorded(link, route)
        await self.must_rest(route)
        if raw.is_empty and not self._is_in_force(route):
            names, _ = await read_route_names(link, self.keys)
            if route not in (names or ()):
                raise NotFoundError(f"there is no route {route} in the store")
        if expected_revision not in (None, raw.revision):
            raise _conflict(route, raw.revision, expected_revision)
        small: list[Operation] = [(number, "DEL", ()) for number in (2, 3, 4, 5)]
        operations: list[Operation] = [(1, "SREM", (route,)), *small]
        written = await self._write(link, raw, RouteState(), operations, author, op="delete")
        if written is None:
            raise _conflict(route, None, expected_revision)
        return written

    async def must_rest(self, route: str) -> None:
        """Raise InUseError while a release of the route runs: nobody would see it go on."""
        key = self.keys.part(route, Part.RELEASE)
        try:
            reply = await (await self._link()).call("HMGET", key, "running", "release")
        except StoreError as error:
            raise of_other_type(error, key, "hash") from None
        match reply:
            case [b"1", release]:
                named = release.decode(errors="replace") if isinstance(release, bytes) else ""
                raise InUseError(
                    f"The release {named} of {route} is running; end it first, with: "
                    f"graygate release abort {route}"
                )

    async def record(
        self, raw: RawRoute, author: Author, lists: Mapping[str, Delta], term: str = ""
    ) -> Written | None:
        """Append to the history how the route stands, as `raw` read it; None when it moved on.

        Of what lists gained and lost only what is still so is told.
        """
        operations = _list_operations(lists, told_ids)
        return await self._write(
            await self._link(), raw, raw.state(), operations, author, tuple(lists), term=term,
            always=not raw.is_recorded,
        )  # fmt: skip

    async def note(self, route: str, author: Author) -> None:
        """Tell the history what was done with the route and changed nothing of it."""
        raw = await self.read(route)
        if not raw.is_empty:
            await self._write(await self._link(), raw, raw.state(), [], author, always=True)

    async def _recorded(self, link: Link, route: str) -> RawRoute:
        """The route as it stands, after an edit made by hand got its own history entry."""
        if not is_name(route):
            raise RefusedError(f"{route[:64]!a} is no route name: use {NAME_RULE}")
        for _ in range(ATTEMPTS):
            raw = (await read_routes(link, self.keys, [route]))[route]
            _check_readable(raw, self.keys)
            if not raw.is_text:
                raise RefusedError(
                    f"route {route} holds bytes that are not UTF-8 text; mend it in the store first"
                )
            if raw.is_recorded or (raw.is_empty and not raw.has_history):
                return raw
            if validate(raw, self.keys, self._wrong_place).spec is None and not raw.is_empty:
                return raw  # what is invalid is no accepted change: nothing to record
            by_hand = Author("redis", "redis", why="edited in the store")
            await self._write(link, raw, raw.state(), [], by_hand, always=True)
        raise _conflict(route, None, None)

    async def _write(
        self,
        link: Link,
        raw: RawRoute,
        after: RouteState,
        operations: Iterable[Operation],
        author: Author,
        lists: tuple[str, ...] = (),
        *,
        op: str = "change",
        term: str = "",
        always: bool = False,
        release: ReleaseUpdate | None = None,
    ) -> Written | None:
        """Run the script; None when the route no longer stands as `raw` says."""
        keys = self.keys
        names = [
            keys.routes,
            keys.route(raw.name),
            *(keys.part(raw.name, part) for part in (Part.VERSIONS, Part.WEIGHTS, Part.RULES)),
            keys.history(raw.name),
            keys.leader,
            *(list_key(keys, name) for name in lists),
        ]
        head: dict[str, str | bytes] = {
            "op": op,
            "by": author.by,
            "via": author.via,
            "from": author.origin,
            "why": author.why,
            "state": msgspec.json.encode(after),
        }
        release_at = 0
        if release is not None:
            release_at = len(names) + 1
            names += release_keys(keys, raw.name)
            operations = [*operations, *_release_operations(release, raw.name, release_at)]
        arguments: list[str | bytes | int] = [
            raw.revision, raw.fingerprint(), term, STREAM_ENTRIES, int(always),
            release_at, release.step if release else 0, len(head),
        ]  # fmt: skip
        for name, value in head.items():
            arguments += [name, value]
        for number, command, words in operations:
            arguments += [number, command, len(words)]
            arguments += words
        reply = await link.script(WRITE, names, arguments)
        if not isinstance(reply, list) or len(reply) != 3:
            raise StoreError("The store answered the write script in an unknown form.")
        outcome, revision = reply[0], int(reply[1])
        if outcome == b"type":
            key = names[revision - 1]
            raise RefusedError(
                f"{key} is of another type than the contract says, so nothing was written; look at "
                f"it with TYPE {key}, then remove it with: DEL {key}"
            )
        if outcome == b"full":
            key = keys.history(raw.name)
            raise RefusedError(f"{key} takes no further entry; begin a new one with: DEL {key}")
        if outcome == b"term":
            raise ConflictError("This gateway is no longer the leader; the new leader goes on.")
        if outcome == b"step":
            raise moved_on(raw.name)
        if outcome == b"conflict":
            return None
        return Written(revision, outcome == b"ok")

    async def read(self, route: str) -> RawRoute:
        """The route as a change would find it; its state may be empty."""
        return await self._recorded(await self._link(), route)

    def judge(self, raw: RawRoute, after: RouteState) -> RouteSpec:
        """What the route would be; raises unless that is valid."""
        proposed = RawRoute(
            name=raw.name,
            route={k.encode(): v.encode() for k, v in after.route.items()},
            versions={k.encode(): v.encode() for k, v in after.versions.items()},
            weights={k.encode(): v.encode() for k, v in after.weights.items()},
            rules=tuple(rule.encode() for rule in after.rules),
            release_id=raw.release_id,
        )
        verdict = validate(proposed, self.keys, self._wrong_place)
        if verdict.spec is None:
            texts = "; ".join(f"{refusal.key}: {refusal.text}" for refusal in verdict.refused)
            raise RefusedError(
                f"Refused, nothing was written: {texts}",
                tuple(Problem(one.field or one.key, one.text) for one in verdict.refused),
            )
        return verdict.spec

    def _must_lower(
        self,
        raw: RawRoute,
        after: RouteState,
        spec: RouteSpec,
        lists: Mapping[str, Delta],
        author: Author,
    ) -> None:
        """Raise ConsentError when this gives a candidate more than it has."""
        held = validate(raw, self.keys, self._wrong_place).spec
        moves = {name: (delta.added, delta.removed) for name, delta in lists.items()}
        reasons = raised(held, spec, moves)
        if reasons:
            wish = Wish(
                reasons=reasons,
                revision=raw.revision,
                route=raw.name,
                before=raw.state(),
                after=after,
                lists={
                    name: Moved(tuple(sorted(delta.added)), tuple(sorted(delta.removed)))
                    for name, delta in lists.items()
                },
            )
            raise ConsentError(f"{'; '.join(reasons)}: that takes two people.", (wish,), author.why)

    @staticmethod
    def _check_whitelists(route: str, after: RouteState, lists: Mapping[str, Delta]) -> None:
        active = [name for name, text in after.versions.items() if not is_retired(text)]
        known = {whitelist_name(route, version) for version in active}
        known.add(blacklist_name(route))
        for name, delta in lists.items():
            if name not in known and delta.added:
                raise RefusedError(
                    f"{list_in_words(name)} belongs to no version of {route}; its versions are "
                    f"{', '.join(sorted(active)) or 'none'}"
                )


def list_key(keys: Keys, name: str) -> str:
    """The key in the store of the list that other processes know as `name`."""
    match name.split("/"):
        case ["route", route, "whitelist", version]:
            return keys.whitelist(route, version)
        case ["route", route, "blacklist"]:
            return keys.blacklist(route)
        case ["segment", segment]:
            return keys.segment(segment)
    raise RefusedError(f"{name[:64]!a} is no list")


def _check_lists(route: str, change: Change) -> None:
    lists = change.lists
    total = sum(len(delta.added) + len(delta.removed) for delta in lists.values())
    if total > MAX_IDS_PER_CHANGE:
        raise RefusedError(
            f"{total} ids are too many for one change; send at most {MAX_IDS_PER_CHANGE} at a time"
        )
    for name, delta in lists.items():
        if not name.startswith(f"route/{route}/"):
            raise RefusedError(f"{name[:64]!a} is no list of route {route}")
        if not change.is_way_back:
            check_ids(delta)


def check_ids(delta: Delta) -> None:
    """Raise for an id that no list can hold."""
    for unit in delta.added:
        if not 0 < len(unit) <= MAX_ID_BYTES:
            raise RefusedError(f"an id has {len(unit)} bytes; 1 to {MAX_ID_BYTES} are allowed")
        if wrong := wrong_with(unit):
            told = unit[:64].decode(errors="replace")
            raise RefusedError(f"the id {told!a} {wrong}; no id may, so nothing was written")


def signed_ids(delta: Delta) -> list[bytes]:
    """What comes and what goes, as the scripts take it."""
    return [b"+" + unit for unit in sorted(delta.added)] + [
        b"-" + unit for unit in sorted(delta.removed)
    ]


def _list_operations(
    lists: Mapping[str, Delta], words: Callable[[Delta], list[bytes]]
) -> list[Operation]:
    """One operation for each list, which follow the seven fixed keys of the script."""
    return [
        (8 + number, "list", (name, *words(delta)))
        for number, (name, delta) in enumerate(lists.items())
    ]


def told_ids(delta: Delta) -> list[bytes]:
    """The same for the history only, about a change that already happened."""
    unknown = [b"=?"] if delta.is_unknown else []
    return unknown + [b"=" + signed for signed in signed_ids(delta)]


def _small_operations(before: RouteState, after: RouteState, route: str) -> list[Operation]:
    """The least commands that make the small keys of `before` those of `after`."""
    operations: list[Operation] = [(1, "SADD", (route,))]
    sections = ((2, before.route, after.route), (3, before.versions, after.versions),
                (4, before.weights, after.weights))  # fmt: skip
    for number, old, new in sections:
        gone = [name for name in old if name not in new]
        put = [word for name in new if old.get(name) != new[name] for word in (name, new[name])]
        operations += [(number, "HDEL", words) for words in _in_commands(gone)]
        operations += [(number, "HSET", words) for words in _in_commands(put)]
    if before.rules != after.rules:
        if before.rules:
            operations.append((5, "DEL", ()))
        operations += [(5, "RPUSH", words) for words in _in_commands(after.rules)]
    return operations


def _release_operations(release: ReleaseUpdate, route: str, first: int) -> list[Operation]:
    return [
        (first + number - 1, command, words) for number, command, words in release.operations(route)
    ]


def _in_commands(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words in portions that Lua can unpack; pairs stay together."""
    for start in range(0, len(words), WORDS_PER_COMMAND):
        yield tuple(words[start : start + WORDS_PER_COMMAND])


def _check_readable(raw: RawRoute, keys: Keys) -> None:
    """Raise for a route that cannot be written to before somebody mends it in the store."""
    if raw.history_problem is not None:
        raise RefusedError(f"{keys.history(raw.name)}: {raw.history_problem.text}")
    has_all_rules = not isinstance(raw.rules, tuple) or len(raw.rules) <= MAX_RULES
    if raw.is_readable and has_all_rules:
        return
    texts = [f"{refusal.key}: {refusal.text}" for refusal in validate(raw, keys).refused]
    raise RefusedError("; ".join(texts))


def _conflict(route: str, now: int | None, expected: int | None) -> ConflictError:
    stands = f"stands at revision {now} now" if now is not None else "was changed at the same time"
    wanted = f", not at {expected}" if expected is not None else ""
    return ConflictError(f"Route {route} {stands}{wanted}; nothing was written. Read it again.")
