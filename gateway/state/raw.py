"""A route exactly as it stands in the store, before anybody judges it.

The fingerprint is the pivot of all writing: the write script computes it inside the store over the
keys as they are, and writes only when it equals the one over the keys as the writer read them. An
edit by redis-cli in between changes it like any other writer's edit would.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

Hash = Mapping[bytes, bytes]

_NUMBER = re.compile(rb"[0-9]{1,16}")
MOST = 2**53  # up to here the write script counts exactly


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A key that could not be read as what the contract says it is."""

    reason: str  # "wrong_type" or "not_readable"
    text: str


class RouteState(msgspec.Struct, frozen=True):
    """The small keys of a route as text, as the history keeps them; empty = the key is absent."""

    route: dict[str, str] = {}
    versions: dict[str, str] = {}
    weights: dict[str, str] = {}
    rules: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.route or self.versions or self.weights or self.rules)

    def fingerprint(self) -> str:
        return fingerprint(
            _encoded(self.route),
            _encoded(self.versions),
            _encoded(self.weights),
            [rule.encode() for rule in self.rules],
        )


@dataclass(frozen=True, slots=True)
class RawRoute:
    """What one consistent reading of a route's small keys found."""

    name: str
    route: Hash | Unreadable = field(default_factory=dict)
    versions: Hash | Unreadable = field(default_factory=dict)
    weights: Hash | Unreadable = field(default_factory=dict)
    rules: tuple[bytes, ...] | Unreadable = ()
    release_id: str | Unreadable = ""
    revision: int = 0  # id of the newest history entry; 0 = none
    recorded_at_ms: int = 0  # when that entry was written
    recorded_print: str = ""  # the fingerprint that entry left behind
    is_deleted: bool = False  # that entry is the deletion of the route
    has_history: bool = False
    history_problem: Unreadable | None = None

    @property
    def is_readable(self) -> bool:
        return not any(isinstance(part, Unreadable) for part in self._parts())

    @property
    def is_empty(self) -> bool:
        """True when none of the small keys exists."""
        return self.is_readable and not any(self._parts())

    @property
    def is_text(self) -> bool:
        try:
            self.state()
        except UnicodeDecodeError:
            return False
        return True

    @property
    def is_recorded(self) -> bool:
        """True when the newest history entry describes the keys as they are."""
        return self.recorded_print == self.fingerprint()

    def fingerprint(self) -> str:
        """The fingerprint of the keys, or "" when one of them cannot be read."""
        parts = self._parts()
        if any(isinstance(part, Unreadable) for part in parts):
            return ""
        route, versions, weights, rules = parts
        return fingerprint(route, versions, weights, rules)  # type: ignore[arg-type]  # readable

    def state(self) -> RouteState:
        """The keys as text; UnicodeDecodeError when they are not."""
        route, versions, weights, rules = self._parts()
        return RouteState(
            _decoded(route),
            _decoded(versions),
            _decoded(weights),
            tuple(rule.decode() for rule in rules) if isinstance(rules, tuple) else (),
        )

    def _parts(self) -> tuple[Hash | Unreadable | tuple[bytes, ...], ...]:
        return (self.route, self.versions, self.weights, self.rules)


def fingerprint(route: Hash, versions: Hash, weights: Hash, rules: Iterable[bytes]) -> str:
    """The same digest as the `fingerprint` function of the write script; change both or none."""
    digest = hashlib.sha1(usedforsecurity=False)
    for pairs in (route, versions, weights):
        digest.update(b"h%d\n" % len(pairs))
        for name in sorted(pairs):
            value = pairs[name]
            digest.update(b"%d:%b%d:%b" % (len(name), name, len(value), value))
    rules = tuple(rules)
    digest.update(b"l%d\n" % len(rules))
    for rule in rules:
        digest.update(b"%d:%b" % (len(rule), rule))
    return digest.hexdigest()


def number(text: bytes) -> int | None:
    """A number that the write script can count, or None: people type into a history too."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= MOST else None


def _encoded(pairs: Mapping[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in pairs.items()}


def _decoded(pairs: object) -> dict[str, str]:
    if not isinstance(pairs, Mapping):
        return {}
    return {name.decode(): value.decode() for name, value in pairs.items()}
