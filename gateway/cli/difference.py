"""How differences are shown: one line each, to be read without colours too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import click
import msgspec

from gateway.cli.shown import count, plain

SHOWN_LETTERS = 160
SHOWN_IDS = 5


class Change(msgspec.Struct):
    """One field of a route that differs."""

    part: str
    field: str
    before: str | list[str] | None
    after: str | list[str] | None


class ListChange(msgspec.Struct):
    """How a list differs."""

    gained: int
    lost: int
    gained_sample: list[str]
    lost_sample: list[str]
    is_exact: bool


class Difference(msgspec.Struct):
    """What differs between two revisions."""

    changes: list[Change]
    lists: dict[str, ListChange]
    complete: bool


def change_lines(changes: Iterable[Change]) -> list[str]:
    """`+` came, `-` went, `~` became another."""
    return [line for change in changes for line in _lines(change)]


def list_lines(route: str, lists: Mapping[str, ListChange]) -> list[str]:
    """How many ids came and went, and a few of them."""
    lines: list[str] = []
    for name, change in lists.items():
        place = name.removeprefix(f"route/{route}/").replace("/", " ")
        for sign, number, sample in (
            ("+", change.gained, change.gained_sample),
            ("-", change.lost, change.lost_sample),
        ):
            if number:
                told = count(number, "id", "ids")
                lines.append(_painted(sign, f"{place}: {told} ({_some(sample, number)})"))
        if not change.is_exact:
            lines.append(_painted("~", f"{place}: edited by hand in ways that nobody saw"))
    return lines


def _some(sample: Sequence[str], number: int) -> str:
    shown = ", ".join(plain(unit) for unit in sample[:SHOWN_IDS])
    return shown if number <= SHOWN_IDS else f"{shown}, ..."


def _lines(change: Change) -> list[str]:
    if change.part == "rules":
        return _rule_lines(change.before or [], change.after or [])
    name = change.field if change.part == "route" else f"{_WORDS[change.part]} {change.field}"
    if change.before is None:
        return [_painted("+", f"{name}: {_value(change.after)}")]
    if change.after is None:
        return [_painted("-", f"{name}: {_value(change.before)}")]
    return [_painted("~", f"{name}: {_value(change.before)} -> {_value(change.after)}")]


_WORDS = {"versions": "version", "weights": "weight"}


def _rule_lines(before: Sequence[str], after: Sequence[str]) -> list[str]:
    gone = [rule for rule in before if rule not in after]
    come = [(place, rule) for place, rule in enumerate(after) if rule not in before]
    lines = [_painted("-", f"rule: {_value(rule)}") for rule in gone]
    lines += [_painted("+", f"rule {place}: {_value(rule)}") for place, rule in come]
    return lines or [_painted("~", "rules: in another order")]


def _value(value: str | Sequence[str] | None) -> str:
    text = plain(str(value))
    return text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 3] + "..."


_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def _painted(sign: str, text: str) -> str:
    """Colours are taken out again where no terminal is, and where NO_COLOR asks for it."""
    return click.style(f"  {sign} {text}", fg=_COLOURS[sign])
