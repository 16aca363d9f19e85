"""Keeps the last good form of every route: takes what was read, yields what is in force.

Rules, in the order in which they are asked:
- A route that vanished is removed only when that was meant: it was deleted through us, or its name
  was taken out of the set of routes while its other keys still stand. A store that lost everything
  (flushed, replaced, restored empty) removes nothing, and neither does one that is being filled
  again and has the route's keys but not yet its name.
- A store that went back to an older revision (a stale replica was promoted) changes nothing until
  somebody writes to the route again.
- A route is taken over as a whole, together with the lists it needs, or its last good form stays.

Only what changed is decided anew, so one edit costs the same among a thousand routes as among two.
"""

from __future__ import annotations

from collections.abc import KeysView, Mapping, Set
from dataclasses import dataclass, replace
from types import MappingProxyType

from gateway.state.contract import Verdict, validate
from gateway.state.keys import Keys
from gateway.state.needs import NOTHING, Needs, lists_of
from gateway.state.raw import RawRoute
from gateway.state.snapshot import HeldRoute, MemberList, Refusal, Snapshot
from gateway.state.versions import UrlRule

MOST_STRANGERS = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """What the newest reading of one route said, accepted or not."""

    raw: RawRoute
    verdict: Verdict
    form: HeldRoute | None  # what comes into force, when it is valid
    lists: frozenset[str]  # that it needs for that
    is_recorded: bool  # the history knows the route as it stands


class Keeper:
    """Holds the newest readings and the last good form; `snapshot()` is what is in force."""

    def __init__(
        self, keys: Keys, start: Snapshot | None = None, wrong_place: UrlRule | None = None
    ) -> None:
        self._keys = keys
        self._wrong_place = wrong_place
        self._held: dict[str, HeldRoute] = dict(start.routes) if start else {}
        self._lists: dict[str, MemberList] = dict(start.lists) if start else {}
        self._retired: dict[str, MemberList] = {}
        self._readings: dict[str, Reading] = {}
        self._unrecorded: set[str] = set()
        self._list_problems: dict[str, Refusal] = {}
        self._names: frozenset[str] | None = None
        self._name_problems: list[Refusal] = []
        self._emptied: set[str] = set()  # in force, though the store lost their names
        self._strangers: dict[str, Refusal] = {}
        self._findings: dict[str, Verdict] = {}  # of routes with refusals or warnings only
        self._was_read = False
        self._unsettled: set[str] = set()
        self._have_lists_changed = False
        self._wanted = Needs()  # by what is in force, and by what will be once its lists are read
        self._used = Needs()  # by what is in force
        for name, held in self._held.items():
            self._wanted.set(name, lists_of(held.spec))
            self._used.set(name, lists_of(held.spec))
        self._current = start or Snapshot()

    @property
    def current(self) -> Snapshot:
        return self._current

    def to_read(self, names: frozenset[str] | None) -> frozenset[str]:
        """Every route to read when these are the names in the store: those that are held too."""
        return frozenset(self._held) | (names or frozenset())

    @property
    def names(self) -> frozenset[str]:
        """The routes that the store names."""
        return self._names or frozenset()

    def is_known(self, name: str) -> bool:
        """Whether the route is named in the store or in force."""
        return name in self._held or name in (self._names or ())

    def unheard(self, names: frozenset[str] | None) -> frozenset[str]:
        """The routes that must be read together with these names: the new and the nameless.

        Whether a route vanished on purpose is judged by its keys, so they must be as new as this.
        """
        if names is None:
            return frozenset()
        return (names - self._readings.keys()) | (frozenset(self._held) - names)

    @property
    def unrecorded(self) -> Set[str]:
        """Routes that stand as their history does not know them."""
        return self._unrecorded

    def reading(self, name: str) -> Reading | None:
        return self._readings.get(name)

    def members(self, name: str) -> MemberList | None:
        return self._lists.get(name)

    def last_members(self, name: str) -> MemberList | None:
        """The same, or how a list stood when the version it belongs to was taken away."""
        members = self._lists.get(name)
        return members if members is not None else self._retired.get(name)

    # Taking in what was read

    def take_names(self, names: frozenset[str] | None, problems: list[Refusal]) -> None:
        """Take in the set of routes; the readings of `unheard` routes follow in the same step."""
        if not self._was_read or names != self._names:
            self._unsettled |= self.to_read(names) | self._readings.keys()
        self._was_read = True
        self._names = names
        self._name_problems = problems

    def judge(self, raw: RawRoute) -> Reading | None:
        """What `raw` means, for `take`; None when it says nothing new. Changes nothing."""
        known = self._readings.get(raw.name)
        if known is not None and known.raw == raw:
            return None
        verdict, fingerprint = validate(raw, self._keys, self._wrong_place), raw.fingerprint()
        form = None
        if verdict.spec is not None:
            form = HeldRoute(
                spec=verdict.spec,
                state=raw.state(),
                revision=raw.revision,
                changed_at_ms=raw.recorded_at_ms,
                fingerprint=fingerprint,
            )
        is_recorded = raw.recorded_print == fingerprint
        return Reading(raw, verdict, form, lists_of(verdict.spec), is_recorded)

    def take(self, reading: Reading) -> None:
        name = reading.raw.name
        self._readings[name] = reading
        self._unsettled.add(name)
        (self._unrecorded.discard if reading.is_recorded else self._unrecorded.add)(name)
        self._note_wanted(name)

    def take_list(self, members: MemberList) -> None:
        """Take in the members of a list; of one that nobody needs any more, nothing."""
        if members.name not in self._wanted.lists:
            return
        had_problem = self._list_problems.pop(members.name, None) is not None
        if self._lists.get(members.name) is members and not had_problem:
            return
        self._lists[members.name] = members
        self._retired.pop(members.name, None)
        self._have_lists_changed = True
        self._unsettled |= self._wanted.routes_of(members.name)

    def take_list_problem(self, name: str, problem: Refusal) -> None:
        """The list cannot be read; its last good members stay."""
        if name not in self._wanted.lists or self._list_problems.get(name) == problem:
            return
        self._list_problems[name] = problem
        self._unsettled |= self._wanted.routes_of(name)

    def take_stranger(self, key: str) -> None:
        """A key under our prefix that the contract does not know."""
        like = self._keys.like(key)
        hint = f"; did you mean {like}?" if like else ""
        text = f"this key is not part of the contract and has no effect{hint}"
        if len(self._strangers) < MOST_STRANGERS:
            self._strangers[key] = Refusal("", key, "unknown_key", text)

    def forget_stranger(self, key: str) -> None:
        self._strangers.pop(key, None)

    # What follows from it

    @property
    def wanted_lists(self) -> KeysView[str]:
        """Every list that a valid or held route needs."""
        return self._wanted.lists

    @property
    def missing_lists(self) -> Set[str]:
        """The wanted lists whose members are not known."""
        return self._wanted.lists - self._lists.keys()

    def routes_of(self, list_name: str) -> Set[str]:
        """The routes that need this list."""
        return self._wanted.routes_of(list_name)

    def is_lost(self, name: str) -> bool:
        """True when the store no longer holds anything of a route that is in force."""
        reading = self._readings.get(name)
        if name not in self._held or reading is None:
            return False
        return reading.raw.is_empty and not reading.raw.has_history

    def is_frozen_list(self, name: str) -> bool:
        """True for a list that belongs to lost routes only: its emptiness means nothing."""
        owners = self.routes_of(name)
        return bool(owners) and all(self.is_lost(owner) for owner in owners)

    def snapshot(self) -> Snapshot:
        """Swap in everything that is good now; the same object when nothing changed."""
        for name in sorted(self._unsettled):
            self._settle(name)
        self._unsettled.clear()
        current = self._current
        findings = [self._findings[name] for name in sorted(self._findings)]
        problems = [self._list_problems[name] for name in sorted(self._list_problems)]
        candidate = replace(
            current,
            routes=MappingProxyType(dict(self._held)),
            lists=self._lists_in_force() if self._have_lists_changed else current.lists,
            refused=(*self._name_problems, *(r for f in findings for r in f.refused), *problems),
            warnings=(*self._strangers.values(), *(w for f in findings for w in f.warnings)),
        )
        self._have_lists_changed = False
        is_first = current.sequence == 0 and self._was_read  # 0 stands for knowing nothing
        if is_first or not _is_same(current, candidate):
            self._current = replace(candidate, sequence=current.sequence + 1)
        return self._current

    def _settle(self, name: str) -> None:
        """Decide what is in force for one route."""
        self._findings.pop(name, None)
        reading = self._readings.get(name)
        if reading is None:
            return
        before = self._held.get(name)
        found = Verdict()
        after = self._decide(reading, before, found)
        if found.refused or found.warnings:
            self._findings[name] = found
        if after is None:
            self._held.pop(name, None)
        elif after is not before:
            self._held[name] = after
        # While the names are unreadable nobody knows that a route is gone, and its findings stay.
        if self._names is not None and not self.is_known(name):
            del self._readings[name]
            self._unrecorded.discard(name)
        if after is not before:
            lists = reading.lists if after else NOTHING
            if self._used.set(name, lists) or lists - self._current.lists.keys():
                self._have_lists_changed = True
        self._note_wanted(name)

    def _decide(self, reading: Reading, held: HeldRoute | None, found: Verdict) -> HeldRoute | None:
        """The form that is in force from now on; what is wrong with the newest goes to `found`."""
        raw, verdict = reading.raw, reading.verdict
        if self._is_removed(raw, held, found):
            return None
        if self._names is not None and raw.name not in self._names:
            return held  # kept although its name is gone; the reason was found
        if held is not None and _is_stale(raw, held):
            text = (
                f"the store went back from revision {held.revision} to {raw.revision} (a stale "
                f"replica?); revision {held.revision} stays in force, and edits by hand wait "
                "until the route is written to with graygate, as by: graygate weights set"
            )
            key = self._keys.history(raw.name)
            found.refused.append(Refusal(raw.name, key, "stale_store", text))
            return held
        found.refused += verdict.refused
        found.warnings += verdict.warnings
        return reading.form if reading.form and self._has_lists(reading.lists) else held

    def _is_removed(self, raw: RawRoute, held: HeldRoute | None, found: Verdict) -> bool:
        """Whether the route is gone on purpose; when it is gone otherwise, say so."""
        name = raw.name
        if self._names is None or name in self._names:
            if self._names is not None:
                self._emptied.discard(name)
            return False
        if raw.is_deleted or held is None:
            self._emptied.discard(name)
            return True
        key = self._keys.routes
        if raw.is_empty and not raw.has_history:
            text = (
                f"everything about {name} is gone from the store; it stays in force. Put it back "
                f"with: graygate repopulate; or remove it with: graygate route delete {name}"
            )
        elif not self._names or name in self._emptied:
            text = (
                f"the set of routes was lost and {name} is not in it; {name} stays in force. Put "
                f"it back with: SADD {key} {name}; or remove it for good with: "
                f"graygate route delete {name}"
            )
        else:
            return True
        self._emptied.add(name)
        found.refused.append(Refusal(name, key, "emptied", text))
        return False

    # Lists

    def _has_lists(self, names: frozenset[str]) -> bool:
        return names <= self._lists.keys() and names.isdisjoint(self._list_problems)

    def _lists_in_force(self) -> Mapping[str, MemberList]:
        used = sorted(self._used.lists & self._lists.keys())
        return MappingProxyType({name: self._lists[name] for name in used})

    def _note_wanted(self, name: str) -> None:
        """Bring up to date which lists the route needs, and drop those that nobody does."""
        reading, held = self._readings.get(name), self._held.get(name)
        accepted = reading.lists if reading else NOTHING
        for orphan in self._wanted.set(name, accepted | self._used.lists_of(name)):
            self._list_problems.pop(orphan, None)
            members = self._lists.pop(orphan, None)
            # The ids of a version that comes back are told from those that are really new.
            if held is not None and members is not None and isinstance(members.base, frozenset):
                self._retired[orphan] = members
        if held is None and self._retired:
            for retired in [n for n in self._retired if n.startswith(f"route/{name}/")]:
                del self._retired[retired]


def _is_stale(raw: RawRoute, held: HeldRoute) -> bool:
    """An older revision counts only once somebody wrote after ours was written."""
    went_back = raw.has_history and raw.revision < held.revision
    return went_back and raw.recorded_at_ms <= held.changed_at_ms


def _is_same(a: Snapshot, b: Snapshot) -> bool:
    return (
        a.refused == b.refused
        and a.warnings == b.warnings
        and a.routes == b.routes
        and _are_same_lists(a.lists, b.lists)
    )


def _are_same_lists(a: Mapping[str, MemberList], b: Mapping[str, MemberList]) -> bool:
    """By identity: comparing a million ids is not worth finding that nothing changed."""
    return a is b or (a.keys() == b.keys() and all(a[name] is b[name] for name in a))
