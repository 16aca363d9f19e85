"""`graygate segment`: named sets of units that rules can ask for."""

from __future__ import annotations

import sys

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, revision_flag, why_flag, yes_flag
from gateway.cli.ids import read_ids
from gateway.cli.picture import Written
from gateway.cli.sending import send_ids
from gateway.cli.shown import count, local_time, plain, print_json, table
from gateway.errors import NotFoundError


class _Segment(msgspec.Struct):
    count: int
    used_by: list[str]
    ids: list[str] = []
    revision: int = 0


class _Segments(msgspec.Struct):
    segments: dict[str, _Segment]
    complete: bool


class _Entry(msgspec.Struct):
    revision: int
    at_ms: int
    by: str
    via: str
    why: str
    op: str
    lists: str


@click.group()
def segment() -> None:
    """Keep named sets of units."""


@segment.command("list")
@gateway_flags
def list_segments(gateway: Gateway, as_json: bool) -> None:
    """List the segments, and the routes whose rules ask for them."""
    reply = gateway.get("segments")
    if as_json:
        print_json(reply.body)
        return
    found = reply.read(_Segments)
    rows = [
        (name, str(one.count), ", ".join(one.used_by) or "-")
        for name, one in found.segments.items()
    ]
    click.echo(table(("SEGMENT", "IDS", "USED BY"), rows) if rows else "There is no segment yet.")
    if not found.complete:
        click.echo("The store holds very many keys; there may be more segments.", err=True)


@segment.command()
@gateway_flags
@click.option(
    "--most", type=click.IntRange(1, 100_000), default=1000, show_default=True,
    help="how many ids to print",
)  # fmt: skip
@click.argument("segment")
def show(gateway: Gateway, as_json: bool, most: int, segment: str) -> None:
    """Print the ids in a segment, one a line."""
    reply = gateway.get("segments", segment, query={"most": most})
    if as_json:
        print_json(reply.body)
        return
    found = reply.read(_Segment)
    is_seen = sys.stdout.isatty()
    for unit in found.ids:
        click.echo(plain(unit) if is_seen else unit, color=True)
    if not found.count and not found.revision:
        raise NotFoundError(f"There is no segment {plain(segment)}.")
    if not found.count:
        click.echo(f"Nobody is in {segment}.", err=True)
    if found.count > len(found.ids):
        click.echo(f"{len(found.ids)} of {found.count} ids; --most shows more.", err=True)


@segment.command()
@gateway_flags
@why_flag
@revision_flag
@click.argument("segment")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def add(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, segment: str,
    ids: tuple[str, ...],
) -> None:  # fmt: skip
    """Put units into a segment; the first one makes it."""
    _change(gateway, as_json, segment, "add", _given(ids), why, revision)


@segment.command()
@gateway_flags
@why_flag
@revision_flag
@click.argument("segment")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def remove(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, segment: str,
    ids: tuple[str, ...],
) -> None:  # fmt: skip
    """Take units out of a segment."""
    _change(gateway, as_json, segment, "remove", _given(ids), why, revision)


@segment.command("import")
@gateway_flags
@why_flag
@click.argument("segment")
@click.argument("file", metavar="FILE|-")
def import_ids(gateway: Gateway, as_json: bool, why: str, segment: str, file: str) -> None:
    """Put the units in a file, one a line, into a segment."""
    _change(gateway, as_json, segment, "add", read_ids(file), why, None)


@segment.command()
@gateway_flags
@why_flag
@yes_flag
@click.argument("segment")
def delete(gateway: Gateway, as_json: bool, why: str, is_sure: bool, segment: str) -> None:
    """Delete a segment that no rule asks for; its history stays, so that it can come back."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Delete segment {segment} with all ids in it?")
    query = {"why": why} if why else None
    reply = gateway.call("DELETE", "segments", segment, query=query)
    if as_json:
        print_json(reply.body)
        return
    click.echo(f"{segment}: deleted; revision {reply.read(Written).revision}.")


@segment.command()
@gateway_flags
@click.option(
    "--most", type=click.IntRange(1, 1000), default=20, show_default=True, help="how many revisions"
)
@click.argument("segment")
def history(gateway: Gateway, as_json: bool, most: int, segment: str) -> None:
    """Show what happened to a segment, newest first."""
    reply = gateway.get("segments", segment, "history", query={"most": most})
    if as_json:
        print_json(reply.body)
        return
    rows = [
        (str(one.revision), local_time(one.at_ms), one.by, one.via, one.why, _told(segment, one))
        for one in reply.read(list[_Entry])
    ]
    if not rows and not gateway.get("segments", segment, query={"most": 1}).read(_Segment).count:
        raise NotFoundError(f"There is no segment {plain(segment)}.")
    head = ("REVISION", "WHEN", "BY", "VIA", "WHY", "CHANGES")
    click.echo(table(head, rows) if rows else f"{segment} has no history yet.")


@segment.command()
@gateway_flags
@why_flag
@yes_flag
@click.option("--to", "revision", type=click.IntRange(min=1), required=True, help="the revision")
@click.argument("segment")
def rollback(
    gateway: Gateway, as_json: bool, why: str, is_sure: bool, revision: int, segment: str
) -> None:
    """Bring a segment back to who was in it at a revision."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Bring segment {segment} back to revision {revision}?")
    content = {"revision": revision, "why": why}
    reply = gateway.call("POST", "segments", segment, "revert", content=content)
    if as_json:
        print_json(reply.body)
        return
    written = reply.read(Written)
    told = "as at" if written.changed else "stands as at"
    click.echo(f"{segment}: {told} revision {revision}; revision {written.revision}.")


def _given(ids: tuple[str, ...]) -> list[str]:
    if "" in ids:
        raise click.UsageError("an id is empty")
    return list(dict.fromkeys(ids))


def _change(
    gateway: Gateway, as_json: bool, segment: str, act: str, ids: list[str], why: str,
    revision: int | None,
) -> None:  # fmt: skip
    written = send_ids(gateway, ("segments", segment), act, ids, why, revision)
    if as_json:
        print_json(msgspec.json.encode(written))
        return
    place = {"add": "in", "remove": "out"}[act]
    before = "" if written.changed else " as before"
    told = f"{count(len(ids), 'id', 'ids')} {place}{before}"
    click.echo(f"{segment}: {told}; revision {written.revision}.")


def _told(segment: str, entry: _Entry) -> str:
    told = entry.lists.removeprefix(f"segment/{segment} ")
    return f"deleted, {told}" if entry.op == "delete" else told or "-"
