"""Every field of a plan as a Markdown table, for the documentation."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from gateway.release.plan.duration import written
from gateway.release.plan.plan import Plan
from gateway.release.plan.words import is_duration, without_none, words


@dataclass(frozen=True, slots=True)
class Row:
    """One field as the documentation shows it; a list of tables is written `stages[].hold`."""

    key: str
    takes: str
    default: str
    help: str


def rows() -> list[Row]:
    """All fields, in the order they are declared; tables are opened where they stand."""
    return list(_rows(Plan, ""))


def render_table() -> str:
    """The fields as a Markdown table."""
    lines = ["| Field | Takes | Default | Meaning |", "|---|---|---|---|"]
    for row in rows():
        cells = (f"`{row.key}`", row.takes, f"`{row.default}`" if row.default else "", row.help)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _rows(struct: type[msgspec.Struct], before: str) -> Iterator[Row]:
    hints = typing.get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        hint = without_none(hints[field.name])
        inner, many = _table_of(hint)
        if inner is not None:
            yield from _rows(inner, f"{before}{field.name}{'[]' if many else ''}.")
        else:
            default = "" if field.required else _default(hint, field.default)
            yield Row(f"{before}{field.name}", words(hint), default, _help(hints[field.name]))


def _table_of(hint: object) -> tuple[type[msgspec.Struct] | None, bool]:
    item = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
    if isinstance(item, type) and issubclass(item, msgspec.Struct):
        return item, item is not hint
    return None, False


def _default(hint: object, value: object) -> str:
    if value is None:
        return ""
    if is_duration(hint) and isinstance(value, float) and value:
        value = written(value)
    # JSON writes texts, numbers, booleans and lists of texts as TOML does.
    return json.dumps(value)


def _help(hint: object) -> str:
    metas = (meta for meta in typing.get_args(hint)[1:] if isinstance(meta, msgspec.Meta))
    return next(meta.description for meta in metas if meta.description)
