"""A release in the store: what its hash says, and every way to write it.

The hash `gray:route:R:release` holds all that the controller needs to go on after it was killed at
any point. `step` grows by one with every write and is compared by each of them, and whoever leads
also names the term of its lease: of two that believe to lead, one writes. What moves weights is
written by the `Writer` together with the route (`Change.release`); what does not, by `save`.

`id` is what goes into the salt of the route. It outlives its release and is replaced only by the
start of another one at a moment when nobody is on a candidate by weight: nobody is dealt anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from gateway.errors import ConflictError, RefusedError, StoreError
from gateway.state.keys import Keys, Part, is_name
from gateway.state.link import Link
from gateway.state.raw import RouteState
from gateway.state.reader import of_other_type
from gateway.state.script import LOOK, SAVE

COMMANDS_AT_ONCE = 50
MOST_COMMANDS = 200  # that wait; more are a script gone wild, or nobody leads
MOST_COMMAND_BYTES = 4096
NO_WEIGHTS: Mapping[str, str] = MappingProxyType({})
FINISHED_KEPT = 20  # of each route, with all that a report needs

Words: TypeAlias = tuple[str | bytes | int, ...]
Operation: TypeAlias = tuple[int, str, Words]  # key number in `release_keys`, command, arguments

_FIELDS = (
    "id", "release", "running", "step", "term", "status", "judge", "read", "evidence", "outbox",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """The release hash of a route as it stands; all empty when there never was a release."""

    id: str = ""  # what goes into the salt
    release: str = ""  # the release that runs, or ran last
    is_running: bool = False  # or has something left to say
    step: int = 0  # number of writes so far
    term: str = ""  # of the leader that wrote last
    status: bytes = b""  # of the machine, as JSON
    judge: bytes = b""  # what the judge knows, together with `read`: no stratum counts twice
    read: str = ""  # the last entry of the strata that `judge` knows
    evidence: bytes = b""  # what the judge said last, as JSON, for people
    outbox: bytes = b""  # notifications that may not have been sent, as JSON


@dataclass(frozen=True, slots=True)
class ReleaseUpdate:
    """What is written to a release that must still be at `step`."""

    step: int
    fields: Mapping[str, str | bytes] = field(default_factory=dict)
    gone: tuple[str, ...] = ()  # fields to remove
    commands_taken: int = 0  # so many of the oldest commands are done with
    begins: bool = False  # a release that nobody has said anything to yet
    running: bool | None = None  # False = all is said and done; None = as it was
    finished: bytes = b""  # what is kept of a release that ends, or made room for another

    def operations(self, route: str) -> list[Operation]:
        """The commands, keys numbered as in `release_keys`."""
        words: list[str | bytes] = ["step", str(self.step + 1)]
        if self.running is not None or self.begins:
            words += ["running", str(int(self.begins or bool(self.running)))]
        for name, value in self.fields.items():
            words += [name, value]
        operations: list[Operation] = [(1, "HSET", tuple(words))]
        if self.gone:
            operations.append((1, "HDEL", self.gone))
        if self.begins:
            operations += [(2, "DEL", ()), (3, "SADD", (route,))]
        else:
            if self.commands_taken:
                operations.append((2, "LTRIM", (self.commands_taken, -1)))
            if self.running:  # one that was over goes on when somebody says so
                operations.append((3, "SADD", (route,)))
        if self.finished:
            operations.append((4, "RPUSH", (self.finished,)))
            operations.append((4, "LTRIM", (-FINISHED_KEPT, -1)))
        return operations


def release_keys(keys: Keys, route: str) -> tuple[str, ...]:
    """The keys that a release is written to, in the order that operations number them."""
    return (
        keys.part(route, Part.RELEASE),
        keys.part(route, Part.COMMANDS),
        keys.releases,
        keys.part(route, Part.FINISHED),
    )


def may_deal_anew(state: RouteState) -> bool:
    """Whether another salt moves nobody: no version gets units by a weight."""
    has_weight = any(_is_above_zero(text) for text in state.weights.values())
    return not has_weight and not any('"weights"' in rule for rule in state.rules)


@dataclass(frozen=True, slots=True)
class Look:
    """What a tick must know of a running release before it does anything."""

    step: int
    release: str
    is_running: bool
    term: str
    commands: tuple[bytes, ...]  # the oldest that count, without those that are too long
    passed_over: int  # commands in front of those, of which there were too many
    too_long: int  # bytes of the longest command that was left out; 0 = none was
    commands_seen: int  # so many are done with once these are
    stable: str  # of the route, as it stands in the store
    percent: str  # of the candidate


class ReleaseStore:
    """Reads and writes releases; one link at a time, opened by whoever owns the connections."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self.keys = keys

    async def attended(self, named: Collection[str] = ()) -> frozenset[str]:
        """The routes that the conductor must look at: a release runs, or somebody said something.

        A release that is over leaves this set with the first `save` that finds no command waiting;
        what is then typed by hand is found only for the routes that are `named`.
        """
        every = sorted(named)
        lengths = [("LLEN", self.keys.part(route, Part.COMMANDS)) for route in every]
        link = await self._link()
        reply, *waiting = await link.pipeline([("SMEMBERS", self.keys.releases), *lengths])
        if isinstance(reply, StoreError):
            raise of_other_type(reply, self.keys.releases, "set")
        members = reply if isinstance(reply, list | set | frozenset) else ()
        names = [member.decode(errors="replace") for member in members]
        # A key of another type is an error here, and nobody said anything by it.
        names += [
            route for route, count in zip(every, waiting, strict=True)
            if isinstance(count, int) and count > 0
        ]  # fmt: skip
        return frozenset(name for name in names if is_name(name))

    async def read(self, route: str) -> ReleaseRecord:
        key = self.keys.part(route, Part.RELEASE)
        try:
            reply = await (await self._link()).call("HMGET", key, *_FIELDS)
        except StoreError as error:
            raise of_other_type(error, key, "hash") from None
        values = [value or b"" for value in reply] if isinstance(reply, list) else []
        if len(values) != len(_FIELDS):
            raise StoreError(f"The store answered HMGET {key} in an unknown form.")
        raw = dict(zip(_FIELDS, values, strict=True))
        text = {name: value.decode(errors="replace") for name, value in raw.items()}
        return ReleaseRecord(
            id=text["id"],
            release=text["release"],
            is_running=text["running"] == "1",
            step=_whole(text["step"], key),
            term=text["term"],
            status=raw["status"],
            judge=raw["judge"],
            read=text["read"],
            evidence=raw["evidence"],
            outbox=raw["outbox"],
        )

    async def ended(self, routes: Sequence[str]) -> dict[str, tuple[bytes, bytes] | None]:
        """Status and evidence of these routes' releases, and no more; None for what is none."""
        keys = [self.keys.part(route, Part.RELEASE) for route in routes]
        replies = await (await self._link()).pipeline(
            [("HMGET", key, "status", "evidence") for key in keys]
        )
        found: dict[str, tuple[bytes, bytes] | None] = {}
        for route, reply in zip(routes, replies, strict=True):
            # What is of another type, or not ours to read, is no release.
            values = [value or b"" for value in reply] if isinstance(reply, list) else []
            found[route] = (values[0], values[1]) if len(values) == 2 else None
        return found

    async def look(self, route: str, candidate: str) -> Look:
        """Where the release stands, its oldest commands and the candidate's weight, as of now."""
        parts = [Part.RELEASE, Part.COMMANDS, Part.WEIGHTS]
        key, commands, weights = (self.keys.part(route, part) for part in parts)
        reply = await (await self._link()).script(
            LOOK,
            (key, commands, self.keys.route(route), weights),
            (candidate, COMMANDS_AT_ONCE, MOST_COMMANDS, MOST_COMMAND_BYTES),
        )
        if not isinstance(reply, list) or len(reply) < 7 or not isinstance(reply[6], int):
            raise StoreError(f"The store told {key} in an unknown form.")
        step, release, running, term, stable, percent = (_text(value) for value in reply[:6])
        passed_over, found = reply[6], reply[7:]
        return Look(
            step=_whole(step, key),
            release=release,
            is_running=running == "1",
            term=term,
            commands=tuple(one for one in found if isinstance(one, bytes)),
            passed_over=passed_over,
            too_long=max((one for one in found if isinstance(one, int)), default=0),
            commands_seen=passed_over + len(found),
            stable=stable.strip(" \t\r\n"),
            percent=percent.strip(" \t\r\n"),
        )

    async def command(self, route: str, command: bytes) -> None:
        """Leave a command for whoever leads."""
        key = self.keys.part(route, Part.COMMANDS)
        if len(command) > MOST_COMMAND_BYTES:
            raise RefusedError(f"A command takes at most {MOST_COMMAND_BYTES} bytes; shorten it.")
        link = await self._link()
        try:
            waiting = await link.call("LRANGE", key, MOST_COMMANDS - 1, MOST_COMMANDS - 1)
            if waiting:
                raise RefusedError(
                    f"{MOST_COMMANDS} commands wait for the release of {route} already; no gateway "
                    "seems to lead, see: graygate doctor"
                )
            # Of a release that is over nobody would hear otherwise.
            attend = ("SADD", self.keys.releases, route)
            for reply in await link.transaction([("RPUSH", key, command), attend]):
                if isinstance(reply, StoreError):
                    raise reply
        except StoreError as error:
            raise of_other_type(error, key, "list") from None

    async def save(
        self,
        route: str,
        update: ReleaseUpdate,
        term: str = "",
        weights: Mapping[str, str] = NO_WEIGHTS,
    ) -> None:
        """Write what moves no weight; ConflictError when the release or the lease moved on.

        `weights` are written past the history, as by redis-cli: only where a candidate must lose
        its traffic and the history takes no entry.
        """
        keys = (
            *release_keys(self.keys, route),
            self.keys.leader,
            self.keys.part(route, Part.WEIGHTS),
        )
        operations = update.operations(route)
        operations += [(6, "HSET", pair) for pair in weights.items()]
        words: list[str | bytes | int] = [term, update.step, route]
        for number, command, arguments in operations:
            words += [number, command, len(arguments), *arguments]
        reply = await (await self._link()).script(SAVE, keys, words)
        match reply:
            case b"ok":
                return
            case b"term":
                raise ConflictError("This gateway is no longer the leader; the new leader goes on.")
            case b"step":
                raise moved_on(route)
            case b"type":
                raise RefusedError(
                    f"One of {', '.join(keys)} is of another type than the contract says, so "
                    "nothing was written; look at them with TYPE, then remove the wrong one."
                )
        raise StoreError("The store answered the release script in an unknown form.")

    async def finished(self, route: str) -> Sequence[bytes]:
        """What was kept of the releases that ended, newest first."""
        key = self.keys.part(route, Part.FINISHED)
        try:
            reply = await (await self._link()).call("LRANGE", key, 0, -1)
        except StoreError as error:
            raise of_other_type(error, key, "list") from None
        return reply[::-1] if isinstance(reply, list) else []


def moved_on(route: str) -> ConflictError:
    return ConflictError(
        f"The release of {route} was written by somebody else at the same time; look again."
    )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _whole(text: str, key: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise StoreError(f"The field step of {key} is no number; begin anew with: DEL {key}")
    return int(text)


def _is_above_zero(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return True
