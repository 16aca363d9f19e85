"""`graygate history`: what happened to a route, newest first."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.shown import local_time, print_json, table

SHOWN_CHARACTERS = 48


class _Change(msgspec.Struct):
    part: str
    field: str
    before: str | list[str] | None
    after: str | list[str] | None


class _Entry(msgspec.Struct):
    revision: int
    at_ms: int
    by: str
    via: str
    why: str
    op: str
    changes: list[_Change]
    lists: str


@click.command()
@gateway_flags
@click.option(
    "--most", type=click.IntRange(1, 1000), default=20, show_default=True, help="how many revisions"
)
@click.argument("route")
def history(gateway: Gateway, as_json: bool, most: int, route: str) -> None:
    """Show what happened to a route, newest first."""
    reply = gateway.get("routes", route, "history", query={"most": most})
    if as_json:
        print_json(reply.body)
        return
    rows = [
        (str(entry.revision), local_time(entry.at_ms), entry.by, entry.via, entry.why,
         _changes(route, entry))
        for entry in reply.read(list[_Entry])
    ]  # fmt: skip
    if rows:
        click.echo(table(("REVISION", "WHEN", "BY", "VIA", "WHY", "CHANGES"), rows))
    else:
        click.echo(f"{route} has no history yet.")


def _changes(route: str, entry: _Entry) -> str:
    if entry.op == "delete":
        return "deleted"
    told = [_change(change) for change in entry.changes]
    if entry.lists:
        # It comes as "route/chat/whitelist/v2 +3 -1, route/chat/blacklist +1 -0".
        lists = entry.lists.replace(f"route/{route}/", "").replace("/", " ")
        told.append(lists.replace(" +", ": +"))
    return ", ".join(told) or "-"


def _change(change: _Change) -> str:
    name = f"{change.part} {change.field}" if change.part != "route" else change.field
    return f"{name.strip()}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: str | list[str] | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"{len(value)}"
    return value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 3] + "..."
