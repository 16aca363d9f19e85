"""`graygate rules`: ordered conditions that choose a version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags, revision_flag, why_flag
from gateway.cli.picture import Written
from gateway.cli.shown import count, plain, print_json
from gateway.errors import NotFoundError, UsageError

_EXAMPLE = '{"when": {"header": {"x-plan": "gold"}}, "version": "v2"}'


class _Rules(msgspec.Struct):
    rules: list[msgspec.Raw]


@click.group()
def rules() -> None:
    """Choose versions by what requests are."""


@rules.command("list")
@gateway_flags
@click.argument("route")
def list_rules(gateway: Gateway, as_json: bool, route: str) -> None:
    """Print the rules of a route, one a line, in the order in which they are asked."""
    reply = gateway.get("routes", route, "rules")
    if as_json:
        print_json(reply.body)
        return
    for place, rule in enumerate(reply.read(_Rules).rules):
        click.echo(f"{place}  {plain(bytes(rule).decode())}")


@rules.command()
@gateway_flags
@why_flag
@click.option("--at", type=click.IntRange(min=0), help="its place; else it is asked last")
@click.argument("route")
@click.argument("rule", callback=lambda ctx, param, text: _rule(text))
def add(
    gateway: Gateway, as_json: bool, why: str, at: int | None, route: str, rule: dict[str, Any]
) -> None:
    """Add a rule, written as JSON.

    \b
    graygate rules add chat '{"when": {"segment": "staff"}, "version": "v2"}'
    """
    before, revision = _current(gateway, route)
    place = len(before) if at is None else min(at, len(before))
    after: list[object] = [*before[:place], rule, *before[place:]]
    _write(gateway, as_json, route, after, why, revision)


@rules.command()
@gateway_flags
@why_flag
@click.argument("route")
@click.argument("place", type=click.IntRange(min=0))
def remove(gateway: Gateway, as_json: bool, why: str, route: str, place: int) -> None:
    """Remove the rule at this place, counted from 0."""
    before, revision = _current(gateway, route)
    if place >= len(before):
        raise NotFoundError(f"{route} has {count(len(before), 'rule', 'rules')}, none at {place}.")
    after: list[object] = [*before[:place], *before[place + 1 :]]
    _write(gateway, as_json, route, after, why, revision)


@rules.command("set")
@gateway_flags
@why_flag
@revision_flag
@click.argument("route")
@click.argument("file", metavar="FILE|-")
def replace(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, route: str, file: str
) -> None:
    """Put the rules in a file, a JSON list, in the place of all there are."""
    name = "standard input" if file == "-" else file
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from None
    try:
        wanted = msgspec.json.decode(content, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"{name} holds no JSON list of rules: {error}.") from None
    _write(gateway, as_json, route, list(wanted), why, revision)


def _rule(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text.encode(errors="replace"), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise click.UsageError(f"the rule is no JSON object, as in {_EXAMPLE}: {error}") from None


def _current(gateway: Gateway, route: str) -> tuple[list[msgspec.Raw], int]:
    reply = gateway.get("routes", route, "rules")
    return reply.read(_Rules).rules, reply.revision


def _write(
    gateway: Gateway, as_json: bool, route: str, rules: list[object], why: str,
    revision: int | None,
) -> None:  # fmt: skip
    content = {"rules": rules, "why": why}
    reply = gateway.call("PUT", "routes", route, "rules", content=content, revision=revision)
    if as_json:
        print_json(reply.body)
        return
    written = reply.read(Written)
    before = "" if written.changed else " as before"
    told = count(len(rules), "rule", "rules")
    click.echo(f"{route}: {told}{before}; revision {written.revision}.")
