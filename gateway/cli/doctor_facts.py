"""What the doctor looks at: the gateway through its API, and the store itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from gateway.cli.client import TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, Gateway, TokenRefused
from gateway.cli.picture import Finding, Picture, WorkerState
from gateway.config.settings import Redis
from gateway.errors import GraygateError, Problem, StoreError
from gateway.release.drill.due import schedule_of
from gateway.release.drill.report import Report, told
from gateway.state.address import open_link
from gateway.state.contract import validate
from gateway.state.instances import GONE_SECONDS, Instance
from gateway.state.keys import Keys, Part
from gateway.state.lastgood import LastGood
from gateway.state.link import Link
from gateway.state.reader import read_route_names, read_routes
from gateway.state.rights import Rights, try_rights
from gateway.state.snapshot import Refusal, Snapshot

ALL_SECONDS = 15.0  # for everything that the store is asked


class Vitals(msgspec.Struct):
    descriptors: int = 0
    most_descriptors: int = 0
    resident_bytes: int = 0
    lag_seconds: float = 0.0


class Processes(msgspec.Struct):
    wanted_workers: int = 0
    draining: bool = False
    restarts: dict[str, int] = {}
    crash_loop: list[str] = []
    reload_failed: bool = False
    connections: int = 0
    shed: dict[str, int] = {}
    each: dict[str, Vitals] = {}


class Endpoint(msgspec.Struct):
    route: str
    version: str
    endpoint: str
    up_for: float


class DifferingField(msgspec.Struct):
    part: str
    field: str
    in_force: str | None
    in_store: str | None


class Differing(msgspec.Struct):
    in_force: bool
    revision_in_force: int | None
    fields: list[DifferingField]


class Own(msgspec.Struct):
    id: str = ""
    now: float = 0.0


class Audit(msgspec.Struct):
    dropped: int = 0
    error: str = ""


class Unrecorded(msgspec.Struct):
    unrecorded: list[str] = []


class More(msgspec.Struct):
    """What the doctor reads of the state beside the picture that all commands know."""

    gateway: Own = msgspec.field(default_factory=Own)
    differs: dict[str, Differing] = {}
    endpoints: list[Endpoint] = []
    processes: Processes | None = None  # None = not told to this token
    audit: Audit = msgspec.field(default_factory=Audit)
    store: Unrecorded = msgspec.field(default_factory=Unrecorded)


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What the gateway says; `error` when it says nothing."""

    url: str
    error: str = ""
    todo: str = ""  # when there is an error that a start would not mend
    picture: Picture | None = None
    more: More = field(default_factory=More)
    not_ready: str = ""
    skew_seconds: float | None = None  # its clock minus ours

    @property
    def workers(self) -> list[WorkerState]:
        return self.picture.workers if self.picture is not None else []


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the store says; `error` when it says nothing."""

    address: str
    prefix: str = "gray:"
    user: str = ""
    error: str = ""
    problems: tuple[str, ...] = ()  # what could not be asked
    version: str = ""
    role: str = ""
    skew_seconds: float | None = None  # its clock minus ours
    rights: Rights | None = None
    instances: Mapping[str, Instance] = field(default_factory=dict)
    leader: str = ""
    lease_seconds: float = 0.0  # that are left of it
    evicts: str = ""  # the policy by which it throws keys away, "" when it does not
    refused: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()  # keys under our prefix
    phases: Mapping[str, str] = field(default_factory=dict)  # route -> phase of its release
    drills: Mapping[str, str] = field(default_factory=dict)  # route -> why its drill is overdue


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The last good table on this machine; `folder` "" = none is wanted."""

    folder: str
    problem: Problem | None = None
    routes: int = 0


def ask_gateway(gateway: Gateway) -> GatewayFacts:
    try:
        before = time.time()
        reply = gateway.get("state")
        after = time.time()
        more = reply.read(More)
        status, text = gateway.probe("readyz")
    except TokenRefused as error:
        todo = f"set {TOKEN_VARIABLE} to a good token, or {TOKEN_FILE_VARIABLE} to a file of one"
        return GatewayFacts(gateway.url, error=str(error), todo=todo)
    except GraygateError as error:
        return GatewayFacts(gateway.url, error=str(error))
    return GatewayFacts(
        gateway.url,
        picture=reply.read(Picture),
        more=more,
        not_ready="" if status == 200 else text.strip().removeprefix("not ready: "),
        skew_seconds=_skew(more.gateway.now, before, after) if more.gateway.now else None,
    )


def ask_store(settings: Redis) -> StoreFacts:
    """Everything that the store tells by itself, whether a gateway runs or not."""
    return asyncio.run(_ask_store(settings))


async def _ask_store(settings: Redis) -> StoreFacts:
    asking = _Asking(settings)
    try:
        async with asyncio.timeout(ALL_SECONDS):
            return await asking.everything()
    except StoreError as error:
        return StoreFacts(settings.url, settings.prefix, settings.username, error=str(error))
    except TimeoutError:
        text = f"it did not answer all questions within {ALL_SECONDS:g} s"
        return StoreFacts(settings.url, settings.prefix, settings.username, error=text)


class _Asking:
    """One round of questions; what one of them is denied does not hold up the others."""

    def __init__(self, settings: Redis) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._problems: list[str] = []

    async def everything(self) -> StoreFacts:
        async with await open_link(self._settings) as link:
            before = time.time()
            clock = await self._ask(link, "TIME")
            after = time.time()
            skew = None
            if isinstance(clock, list):
                skew = _skew(int(clock[0]) + int(clock[1]) / 1e6, before, after)
            now = time.time() + (skew or 0.0)
            leader, lease = _lease(await self._ask(link, "GET", self._keys.leader), now)
            refused, names = await self._findings(link)
            facts = StoreFacts(
                str(link.address), self._settings.prefix, self._settings.username,
                version=link.version, role=link.role, skew_seconds=skew,
                instances=await self._instances(link, now),
                leader=leader, lease_seconds=lease,
                evicts=await self._evicts(link),
                refused=refused,
                unknown=await self._unknown(link),
                phases=await self._phases(link, names),
                drills=await self._drills(link, names, now),
            )  # fmt: skip
        rights = await self._rights()
        return replace(facts, rights=rights, problems=tuple(self._problems))

    async def _ask(self, link: Link, *words: str | int, is_needed: bool = True) -> object:
        try:
            return await link.call(*words)
        except StoreError as error:
            if link.is_closed:
                raise
            if is_needed:
                self._problems.append(f"{words[0]}: {error}")
            return None

    async def _findings(self, link: Link) -> tuple[tuple[Finding, ...], frozenset[str]]:
        """Whatever would be refused if it were read now for the first time."""
        try:
            names, problems = await read_route_names(link, self._keys)
            raws = await read_routes(link, self._keys, names or frozenset())
        except StoreError as error:
            if link.is_closed:
                raise
            self._problems.append(str(error))
            return (), frozenset()
        found: list[Refusal] = list(problems)
        for raw in raws.values():
            found += validate(raw, self._keys).refused
        told = tuple(Finding(one.route, one.key, one.text, one.reason) for one in found)
        return told, names or frozenset()

    async def _instances(self, link: Link, now: float) -> dict[str, Instance]:
        reply = await self._ask(link, "HGETALL", self._keys.instances)
        found: dict[str, Instance] = {}
        pairs = reply.items() if isinstance(reply, Mapping) else _paired(reply)
        for name, text in pairs:
            with suppress(msgspec.MsgspecError):
                one = msgspec.json.decode(text, type=Instance)
                if abs(now - one.at) <= GONE_SECONDS:
                    found[name.decode(errors="replace")] = one
        return found

    async def _evicts(self, link: Link) -> str:
        reply = await self._ask(link, "INFO", "memory", is_needed=False)
        if not isinstance(reply, bytes):
            return ""
        told = dict(
            line.split(":", 1)
            for line in reply.decode(errors="replace").split("\r\n")
            if ":" in line
        )
        policy = told.get("maxmemory_policy", "")
        return policy if told.get("maxmemory", "0") != "0" and policy != "noeviction" else ""

    async def _unknown(self, link: Link) -> tuple[str, ...]:
        found: list[str] = []
        cursor: str | int = 0
        for _ in range(200):  # a store may be full of other people's keys
            reply = await self._ask(
                link, "SCAN", cursor, "MATCH", f"{self._settings.prefix}*", "COUNT", 1000,
                is_needed=False,
            )  # fmt: skip
            if not isinstance(reply, list):
                return ()
            keys = [key.decode(errors="replace") for key in reply[1]]
            found += [key for key in keys if self._keys.place(key) is None]
            cursor = reply[0].decode()
            if cursor == "0":
                break
        return tuple(sorted(set(found)))

    async def _phases(self, link: Link, names: frozenset[str]) -> dict[str, str]:
        phases: dict[str, str] = {}
        for name in sorted(names):
            key = self._keys.part(name, Part.RELEASE)
            status = await self._ask(link, "HGET", key, "status", is_needed=False)
            if isinstance(status, bytes):
                with suppress(msgspec.MsgspecError):
                    phases[name] = msgspec.json.decode(status, type=_Status).phase
        return phases

    async def _drills(self, link: Link, names: frozenset[str], now: float) -> dict[str, str]:
        """The routes whose drills are overdue by the plan of their newest release."""
        found: dict[str, str] = {}
        for name in sorted(names):
            key = self._keys.part(name, Part.RELEASE)
            status = await self._ask(link, "HGET", key, "status", is_needed=False)
            with suppress(msgspec.MsgspecError):
                if not isinstance(status, bytes):
                    continue
                plan = msgspec.json.decode(status, type=_Status)
                if not plan.plan.drill.every:
                    continue
                key = self._keys.part(name, Part.DRILLS)
                reply = await self._ask(link, "LRANGE", key, 0, -1, is_needed=False)
                texts = reply if isinstance(reply, list) else []
                reports = [msgspec.json.decode(text, type=Report) for text in texts]
                every, since = plan.plan.drill.every, plan.started_at
                schedule = schedule_of(name, every, since, reports)
                if schedule.is_overdue(now):
                    last = told(schedule.last) if schedule.last else "there never was one"
                    found[name] = last
        return found

    async def _rights(self) -> Rights:
        async with await open_link(self._settings) as link:
            return await try_rights(link, self._keys)


class _Drill(msgspec.Struct):
    every: float = 0.0


class _Plan(msgspec.Struct):
    drill: _Drill = msgspec.field(default_factory=_Drill)


class _Status(msgspec.Struct):
    phase: str = ""
    started_at: float = 0.0
    plan: _Plan = msgspec.field(default_factory=_Plan)


def look_at_disk(folder: str) -> DiskFacts:
    if not folder:
        return DiskFacts("")
    snapshot, problem = LastGood(Path(folder)).load()
    return DiskFacts(folder, problem, len((snapshot or Snapshot()).routes))


def _skew(theirs: float, before: float, after: float) -> float:
    """How far their clock is ahead; 0 as long as the way there and back may explain it."""
    if before <= theirs <= after:
        return 0.0
    return theirs - after if theirs > after else theirs - before


def _lease(reply: object, now: float) -> tuple[str, float]:
    """Who leads, and for how many seconds still."""
    if not isinstance(reply, bytes):
        return "", 0.0
    _, _, rest = reply.decode(errors="replace").partition(":")
    holder, _, ends = rest.rpartition(":")
    return holder, int(ends) / 1000 - now if ends.isdecimal() else 0.0


def _paired(reply: object) -> list[tuple[bytes, bytes]]:
    flat = reply if isinstance(reply, list) else []
    return list(zip(flat[::2], flat[1::2], strict=True))
