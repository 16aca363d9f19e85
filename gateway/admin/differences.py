"""Where what is in force differs from what the store holds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.state.keeper import Reading
from gateway.state.raw import RawRoute, RouteState, Unreadable
from gateway.state.snapshot import HeldRoute

MOST_CHARACTERS = 300
_CREDENTIALS = re.compile(r"//[^/\s@]*@")

Row = dict[str, object]


def difference_of(held: HeldRoute | None, reading: Reading | None) -> Row | None:
    """How a route stands in the store, when it is not in force just so; None when it is."""
    if reading is None:
        return None  # not read yet: a table from disk
    raw = reading.raw
    is_same = held is not None and raw.fingerprint() == held.fingerprint
    if is_same and reading.is_recorded:
        return None
    if held is None and raw.is_empty:
        return None  # a name of which the store holds nothing
    return {
        "in_force": held is not None,
        "revision_in_force": held.revision if held is not None else None,
        "revision_in_store": raw.revision,
        "recorded": reading.is_recorded,  # the history knows how it stands in the store
        "fields": [] if is_same else list(_fields(held, raw)),
    }


def _fields(held: HeldRoute | None, raw: RawRoute) -> Iterator[Row]:
    ours = held.state if held is not None else RouteState()
    for part, there in (
        ("route", raw.route), ("versions", raw.versions), ("weights", raw.weights),
    ):  # fmt: skip
        if isinstance(there, Unreadable):
            yield _row(part, "", None, there.text)
            continue
        here: Mapping[str, str] = getattr(ours, part)
        found = {_text(name): _text(value) for name, value in there.items()}
        for name in sorted({*here, *found}):
            if here.get(name) != found.get(name):
                yield _row(part, name, here.get(name), found.get(name))
    if isinstance(raw.rules, Unreadable):
        yield _row("rules", "", None, raw.rules.text)
        return
    rules = tuple(map(_text, raw.rules))
    for number in range(max(len(rules), len(ours.rules))):
        mine, theirs = _at(ours.rules, number), _at(rules, number)
        if mine != theirs:
            yield _row("rules", str(number + 1), mine, theirs)


def _row(part: str, name: str, in_force: str | None, in_store: str | None) -> Row:
    return {
        "part": part,
        "field": _shown(name),
        "in_force": _shown(in_force),
        "in_store": _shown(in_store),
    }


def _shown(text: str | None) -> str | None:
    """What was typed into the store may be long, or hold a password that had to be refused."""
    return None if text is None else _CREDENTIALS.sub("//***@", text)[:MOST_CHARACTERS]


def _text(word: bytes) -> str:
    return word.decode(errors="replace")


def _at(rules: tuple[str, ...], number: int) -> str | None:
    return rules[number] if number < len(rules) else None
