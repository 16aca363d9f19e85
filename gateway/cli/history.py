"""`graygate history`: what happened to a route, and all that was recorded."""

from __future__ import annotations

import re

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.difference import Change as _Change
from gateway.cli.difference import Difference, change_lines, list_lines
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.shown import local_time, print_json, table
from gateway.errors import GraygateError

SHOWN_CHARACTERS = 48
_COUNTS = re.compile(r" (?=\+|unknown)(?<!and )")


class _Entry(msgspec.Struct):
    revision: int
    at_ms: int
    by: str
    via: str
    why: str
    op: str
    changes: list[_Change]
    lists: str


class _Stream(msgspec.Struct):
    route: str | None
    segment: str | None
    entries: int
    unchained: int
    first: int
    last: int
    chain: str
    problems: list[str]


class _Routes(click.Group):
    """`graygate history chat` is short for `graygate history show chat`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names_route = not args or any(not word.startswith("-") for word in args)
        if (
            names_route
            and not ctx.resilient_parsing
            and args[:1] not in [[name] for name in self.commands]
        ):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Routes)
def history() -> None:
    """Show what happened to a route; verify and export all that was recorded."""


@history.command()
@gateway_flags
@click.option(
    "--most", type=click.IntRange(1, 1000), default=20, show_default=True, help="how many revisions"
)
@click.argument("route")
def show(gateway: Gateway, as_json: bool, most: int, route: str) -> None:
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


@history.command()
@gateway_flags
@click.argument("route", required=False)
def verify(gateway: Gateway, as_json: bool, route: str | None) -> None:
    """Tell whether an entry of a history or of the audit was altered or removed.

    Whoever may write the store may also write a whole history anew: keep the hash of the newest
    entry elsewhere, and compare.
    """
    reply = gateway.get("audit", "verify", query={"route": route} if route else None)
    found = reply.read(list[_Stream])
    if as_json:
        print_json(reply.body)
    else:
        rows = [
            (_name(one), str(one.entries), str(one.last), one.chain or "-",
             "; ".join(one.problems) or _good(one))
            for one in found
        ]  # fmt: skip
        click.echo(table(("HISTORY", "ENTRIES", "NEWEST", "HASH", "VERDICT"), rows))
    if any(one.problems for one in found):
        raise GraygateError("Not everything is as it was written.")


@history.command()
@gateway_flags
@click.argument("route", required=False)
def export(gateway: Gateway, as_json: bool, route: str | None) -> None:
    """Print every revision and the audit, one JSON object a line."""
    query = {"route": route} if route else None
    lines = gateway.call("GET", "audit", query=query, takes="application/x-ndjson")
    click.echo(lines.body, nl=False)


@history.command()
@gateway_flags
@click.argument("route")
@click.argument("from_revision", metavar="FROM", type=click.IntRange(min=1))
@click.argument("to_revision", metavar="TO", type=click.IntRange(min=1))
def diff(gateway: Gateway, as_json: bool, route: str, from_revision: int, to_revision: int) -> None:
    """Show what differs between two revisions of a route.

    \b
    graygate history diff chat 3 7
    """
    query = {"from": from_revision, "to": to_revision}
    reply = gateway.get("routes", route, "diff", query=query)
    if as_json:
        print_json(reply.body)
        return
    found = reply.read(Difference)
    lines = [*change_lines(found.changes), *list_lines(route, found.lists)]
    click.echo("\n".join(lines) or f"{route}: no difference.")
    if not found.complete:
        click.echo("Revisions in between were removed; lists may differ more.", err=True)


def _name(one: _Stream) -> str:
    return one.route or (f"(segment {one.segment})" if one.segment else "(audit)")


def _good(one: _Stream) -> str:
    return f"good, but for {one.unchained} older than the hashes" if one.unchained else "good"


def _changes(route: str, entry: _Entry) -> str:
    if entry.op == "delete":
        return "deleted"
    told = [_change(change) for change in entry.changes]
    if entry.lists:
        # It comes as "route/chat/whitelist/v2 +3 -1, route/chat/blacklist +1 -0".
        lists = entry.lists.replace(f"route/{route}/", "").replace("/", " ")
        told.append(_COUNTS.sub(": ", lists))
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
