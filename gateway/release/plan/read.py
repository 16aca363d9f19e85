"""A plan out of TOML or any plain data: everything that is wrong is told in one go.

A broken field is replaced by its default, so that the checks among the fields still run; what they
find about a broken field is left out, for it would only repeat the mistake in other words.
"""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.config import kinds
from gateway.config.layer import plain
from gateway.errors import PlanError, Problem
from gateway.release.plan.checks import findings
from gateway.release.plan.plan import Plan
from gateway.release.plan.presets import filled
from gateway.release.plan.words import accept, without_none
from gateway.routing.suggest import suggest

MAX_ITEMS = 100
_STAND_IN = {"route": "route", "candidate": "candidate", "stages": ()}


def read_toml(
    text: str,
    *,
    where: str = "plan",
    given: Mapping[str, object] | None = None,
    zones: Collection[str] | None = None,
) -> Plan:
    """Reads a plan's file; `given` goes before what the file says. PlanError when it will not do.

    With `zones` a time zone that is not among them is refused.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError((Problem(where, f"is not valid TOML: {error}"),)) from None
    except (ValueError, RecursionError):
        what = "is not valid TOML: a value is too large or nested too deeply"
        raise PlanError((Problem(where, what),)) from None
    return read_plan(document, where=where, given=given, zones=zones)


def read_plan(
    document: object,
    *,
    where: str = "plan",
    given: Mapping[str, object] | None = None,
    zones: Collection[str] | None = None,
) -> Plan:
    """The same for plain data, such as the body of a call."""
    if not isinstance(document, Mapping):
        raise PlanError((Problem(where, "must be a table of a plan's fields"),))
    reading = _Reading(where)
    plan = reading.struct(Plan, filled({**document, **(given or {})}), "")
    assert isinstance(plan, Plan)
    reading.problems += [
        Problem(f"{where} {finding.key}", finding.what)
        for finding in findings(plan, zones)
        if not any(reading.is_broken(field) for field in finding.fields)
    ]
    if reading.problems:
        raise PlanError(tuple(reading.problems))
    return plan


@dataclass(slots=True)
class _Reading:
    """One reading: what is wrong so far, and which fields of the plan it spoils."""

    where: str
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def struct(self, kind: type[msgspec.Struct], table: Mapping[object, object], at: str) -> object:
        """The struct, or None when a field that it cannot be without is missing or broken."""
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {each.name: each for each in msgspec.structs.fields(kind)}
        values: dict[str, object] = {}
        for name, value in table.items():
            if not isinstance(name, str) or name not in fields:
                self._refuse(
                    _at(at, str(name)), f"is no field of a plan.{suggest(str(name), fields)}"
                )
            elif value is not None:
                found = self._value(hints[name], value, _at(at, name))
                if found is not None:
                    values[name] = found
        is_whole = True
        for name, each in fields.items():
            if name in values or not each.required:
                continue
            if table.get(name) is None:
                self._refuse(_at(at, name), "is missing; a plan cannot be without it")
            if kind is Plan:
                values[name] = _STAND_IN[name]
            else:
                is_whole = False
        return kind(**values) if is_whole else None

    def _value(self, hint: object, value: object, at: str) -> object:
        hint = without_none(hint)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            if isinstance(value, Mapping):
                return self.struct(hint, value, at)
            self._refuse(at, f"must be a table, not {kinds.shown(value)}")
            return None
        item = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
        if isinstance(item, type) and issubclass(item, msgspec.Struct):
            return self._tables(item, value, at)
        try:
            return accept(hint, value)
        except ValueError as error:
            self._refuse(at, f"{error}, not {kinds.shown(value)}")
            return None

    def _tables(self, item: type[msgspec.Struct], value: object, at: str) -> object:
        if not isinstance(value, list | tuple) or len(value) > MAX_ITEMS:
            self._refuse(at, f"must be a list of at most {MAX_ITEMS} tables: [[{at}]]")
            return None
        found = []
        for number, table in enumerate(value, 1):
            here = f"{at}[{number}]"
            if not isinstance(table, Mapping):
                self._refuse(here, f"must be a table, not {kinds.shown(table)}")
            elif (struct := self.struct(item, table, here)) is not None:
                found.append(struct)
        if len(found) < len(value):
            self.broken.add(at)  # the numbers of the rest are no longer those of the file
        return tuple(found)

    def is_broken(self, name: str) -> bool:
        """Whether a mistake was told of this field of the plan, or of what it is an item of."""
        is_whole = "[" not in name
        whole = name.partition("[")[0]
        return any(
            broken in (name, whole) or (is_whole and broken.startswith(f"{name}["))
            for broken in self.broken
        )

    def _refuse(self, at: str, what: str) -> None:
        self.broken.add(at.partition(".")[0])
        self.problems.append(Problem(f"{self.where} {at}", what))


def _at(at: str, name: str) -> str:
    return f"{at}.{plain(name)}" if at else plain(name)
