"""A report as Markdown, for tickets and chats."""

from __future__ import annotations

import re

from gateway.release.report.model import Report
from gateway.release.report.tables import Table, moment, tables

# Whatever Markdown or HTML would obey; names and reasons are written by people.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&])")
_BREAKS = re.compile(r"[\x00-\x20\x7f\u0085\u2028\u2029]+")


def render(report: Report) -> str:
    """The whole report; every text in it is escaped."""
    title = f"# Release of {plain(report.candidate)} on {plain(report.route)}"
    head = f"{title}\n\n**{plain(report.outcome)}**\n"
    made = f"Release {plain(report.release_id)}, written {moment(report.made_at)} UTC.\n"
    return "\n".join([head, *(_table(table) for table in tables(report)), made])


def plain(text: str) -> str:
    """One line of text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", _BREAKS.sub(" ", text).strip())


def _table(table: Table) -> str:
    lines = [f"## {table.heading}", "", _row(table.columns), _row(("---",) * len(table.columns))]
    lines += [_row(tuple(plain(cell) for cell in row)) for row in table.rows]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
