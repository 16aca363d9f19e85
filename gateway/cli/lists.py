"""`graygate whitelist` and `graygate blacklist`: units that always get a version, or stable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click
import msgspec

from gateway.cli import bulk
from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags, why_flag
from gateway.cli.ids import read_ids
from gateway.cli.sending import send_ids
from gateway.cli.shown import count, plain, print_json

R = TypeVar("R")


class _Members(msgspec.Struct):
    count: int
    ids: list[str]


@click.group()
def whitelist() -> None:
    """Choose the units that always get a version."""


@click.group()
def blacklist() -> None:
    """Choose the units that always get stable."""


for group, commands in (
    (whitelist, (bulk.import_whitelist, bulk.export_whitelist, bulk.search_whitelist)),
    (blacklist, (bulk.import_blacklist, bulk.export_blacklist, bulk.search_blacklist)),
):
    for bulk_command in commands:
        group.add_command(bulk_command)


def _change_flags(command: Callable[..., R]) -> Callable[..., R]:
    command = click.option("--file", metavar="FILE|-", help="more ids, one a line")(command)
    command = click.argument("ids", nargs=-1, metavar="[ID]...")(command)
    return gateway_flags(why_flag(command))


most_flag = click.option(
    "--most", type=click.IntRange(1, 100_000), default=1000, show_default=True,
    help="how many ids to print",
)  # fmt: skip


@whitelist.command("add")
@click.argument("route")
@click.argument("version")
@_change_flags
def add_to_whitelist(
    gateway: Gateway, as_json: bool, why: str, route: str, version: str,
    ids: tuple[str, ...], file: str | None,
) -> None:  # fmt: skip
    """Give these units a version, whatever the weights are."""
    _change(gateway, as_json, (route, "whitelist", version), "add", _given(ids, file), why)


@whitelist.command("remove")
@click.argument("route")
@click.argument("version")
@_change_flags
def remove_from_whitelist(
    gateway: Gateway, as_json: bool, why: str, route: str, version: str,
    ids: tuple[str, ...], file: str | None,
) -> None:  # fmt: skip
    """Let these units go by rules and weights again."""
    _change(gateway, as_json, (route, "whitelist", version), "remove", _given(ids, file), why)


@whitelist.command("list")
@gateway_flags
@most_flag
@click.argument("route")
@click.argument("version")
def list_whitelist(gateway: Gateway, as_json: bool, most: int, route: str, version: str) -> None:
    """Print the ids on the list, one a line."""
    _print(gateway, as_json, (route, "whitelist", version), most)


@blacklist.command("add")
@click.argument("route")
@_change_flags
def add_to_blacklist(
    gateway: Gateway, as_json: bool, why: str, route: str, ids: tuple[str, ...], file: str | None
) -> None:
    """Give these units stable, whatever the weights are."""
    _change(gateway, as_json, (route, "blacklist"), "add", _given(ids, file), why)


@blacklist.command("remove")
@click.argument("route")
@_change_flags
def remove_from_blacklist(
    gateway: Gateway, as_json: bool, why: str, route: str, ids: tuple[str, ...], file: str | None
) -> None:
    """Let these units go by rules and weights again."""
    _change(gateway, as_json, (route, "blacklist"), "remove", _given(ids, file), why)


@blacklist.command("list")
@gateway_flags
@most_flag
@click.argument("route")
def list_blacklist(gateway: Gateway, as_json: bool, most: int, route: str) -> None:
    """Print the ids on the list, one a line."""
    _print(gateway, as_json, (route, "blacklist"), most)


def _given(ids: tuple[str, ...], file: str | None) -> list[str]:
    if not ids and file is None:
        raise click.UsageError("name ids, or a file that holds one a line with --file")
    if "" in ids:
        raise click.UsageError("an id is empty")
    return list(dict.fromkeys([*ids, *(read_ids(file) if file is not None else ())]))


def _change(
    gateway: Gateway, as_json: bool, path: tuple[str, ...], act: str, ids: list[str], why: str
) -> None:
    written = send_ids(gateway, ("routes", *path), act, ids, why)
    if as_json:
        print_json(msgspec.json.encode(written))
        return
    place = {"add": "on the list", "remove": "off the list"}[act]
    before = "" if written.changed else " as before"
    told = f"{count(len(ids), 'id', 'ids')} {place}{before}"
    click.echo(f"{' '.join(path)}: {told}; revision {written.revision}.")


def _print(gateway: Gateway, as_json: bool, path: tuple[str, ...], most: int) -> None:
    reply = gateway.get("routes", *path, query={"most": most})
    if as_json:
        print_json(reply.body)
        return
    members = reply.read(_Members)
    # Off the terminal ids come as they are, to be read by --file: nothing that looks like a colour
    # may be taken out of them.
    is_seen = sys.stdout.isatty()
    for unit in members.ids:
        click.echo(plain(unit) if is_seen else unit, color=True)
    if members.count > len(members.ids):
        click.echo(f"{len(members.ids)} of {members.count} ids; --most shows more.", err=True)
