"""The names of all keys in the store: the public contract, in both directions."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

# Names of routes, versions and segments: safe in keys, metric labels, URLs and log lines.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = "1 to 64 ASCII letters, digits, '.', '_' or '-', beginning with a letter or digit"


class Part(StrEnum):
    """What a key belongs to."""

    ROUTES = "routes"
    ROUTE = "route"
    VERSIONS = "versions"
    WEIGHTS = "weights"
    RULES = "rules"
    WHITELIST = "whitelist"
    BLACKLIST = "blacklist"
    RELEASE = "release"
    COMMANDS = "commands"
    FINISHED = "finished"
    HISTORY = "history"
    STRATA = "strata"
    ANSWERED = "answered"
    RATED = "rated"
    DRILL = "drill"
    DRILLS = "drills"
    SEGMENT = "segment"
    SEGMENT_HISTORY = "segment_history"
    INSTANCES = "instances"
    LEADER = "leader"
    TOKENS = "tokens"
    AUDIT = "audit"
    RELEASES = "releases"
    PROPOSALS = "proposals"
    ANSWERS = "answers"
    ANSWERS_DUE = "answers_due"


ROUTE_PARTS = (
    Part.VERSIONS,
    Part.WEIGHTS,
    Part.RULES,
    Part.BLACKLIST,
    Part.RELEASE,
    Part.COMMANDS,
    Part.FINISHED,
    Part.HISTORY,
    Part.STRATA,
    Part.DRILL,
    Part.DRILLS,
)


# Keys that belong to no route and no segment.
ALONE = (
    *("routes", "instances", "leader", "tokens", "audit", "releases"),
    *("proposals", "answers", "answers_due"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key belongs: which part, of which route, and of which version or segment."""

    part: Part
    route: str = ""
    name: str = ""


def is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Keys:
    """All key names under one prefix."""

    prefix: str = "gray:"

    @property
    def routes(self) -> str:
        return f"{self.prefix}routes"

    @property
    def instances(self) -> str:
        return f"{self.prefix}instances"

    @property
    def leader(self) -> str:
        return f"{self.prefix}leader"

    @property
    def tokens(self) -> str:
        return f"{self.prefix}tokens"

    @property
    def audit(self) -> str:
        return f"{self.prefix}audit"

    @property
    def releases(self) -> str:
        """The routes whose releases the conductor looks at."""
        return f"{self.prefix}releases"

    @property
    def proposals(self) -> str:
        """Changes that wait for the consent of a second person."""
        return f"{self.prefix}proposals"

    @property
    def answers(self) -> str:
        """What calls with an Idempotency-Key were answered."""
        return f"{self.prefix}answers"

    @property
    def answers_due(self) -> str:
        """When each of those may be forgotten."""
        return f"{self.prefix}answers_due"

    def route(self, route: str) -> str:
        return f"{self.prefix}route:{route}"

    def part(self, route: str, part: Part) -> str:
        return f"{self.prefix}route:{route}:{part.value}"

    def whitelist(self, route: str, version: str) -> str:
        return f"{self.prefix}route:{route}:whitelist:{version}"

    def blacklist(self, route: str) -> str:
        return self.part(route, Part.BLACKLIST)

    def history(self, route: str) -> str:
        return self.part(route, Part.HISTORY)

    def answered(self, route: str, block: int) -> str:
        return f"{self.part(route, Part.ANSWERED)}:{block}"

    def rated(self, route: str, id: str, family: str) -> str:
        return f"{self.part(route, Part.RATED)}:{id}:{family}"

    def of_route(self, route: str) -> tuple[str, ...]:
        """The keys of which at least one exists while the store holds anything of the route."""
        parts = (Part.VERSIONS, Part.WEIGHTS, Part.RULES, Part.HISTORY)
        return (self.route(route), *(self.part(route, part) for part in parts))

    def segment(self, segment: str) -> str:
        return f"{self.prefix}segment:{segment}"

    def segment_history(self, segment: str) -> str:
        return f"{self.prefix}segment:{segment}:history"

    def place(self, key: str) -> Place | None:
        """Where `key` belongs, or None for a key that the contract does not know."""
        if not key.startswith(self.prefix):
            return None
        match key[len(self.prefix) :].split(":"):
            case [alone] if alone in ALONE:
                return Place(Part(alone))
            case ["segment", name] if is_name(name):
                return Place(Part.SEGMENT, name=name)
            case ["segment", name, "history"] if is_name(name):
                return Place(Part.SEGMENT_HISTORY, name=name)
            case ["route", route] if is_name(route):
                return Place(Part.ROUTE, route)
            case ["route", route, "whitelist", version] if is_name(route) and is_name(version):
                return Place(Part.WHITELIST, route, version)
            case ["route", route, "answered", block] if is_name(route) and block.isdecimal():
                return Place(Part.ANSWERED, route, block)
            case ["route", route, "rated", id, family] if is_name(route) and is_name(family):
                return Place(Part.RATED, route, id)
            case ["route", route, part] if is_name(route) and part in ROUTE_PARTS:
                return Place(Part(part), route)
        return None

    def like(self, key: str) -> str | None:
        """The key of the contract that an operator may have meant by the unknown `key`."""
        if not key.startswith(self.prefix):
            return None
        match key[len(self.prefix) :].split(":"):
            case ["route", route, wrong, *rest] if is_name(route):
                parts = [part.value for part in ROUTE_PARTS] + ["whitelist"]
                near = difflib.get_close_matches(wrong, parts, n=1)
                if near == ["whitelist"] and len(rest) != 1:
                    return f"{self.whitelist(route, 'VERSION')}"
                if near and near[0] != wrong:
                    return ":".join([f"{self.prefix}route", route, near[0], *rest])
            case [wrong, *rest]:
                known = [*ALONE, "route", "segment"]
                near = difflib.get_close_matches(wrong, known, n=1)
                if near and near[0] != wrong:
                    return ":".join([f"{self.prefix}{near[0]}", *rest])
        return None


class SegmentKeys(Keys):
    """The same for whoever reads the history of a segment in the place of a route's."""

    def history(self, route: str) -> str:
        return self.segment_history(route)
