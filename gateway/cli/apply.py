"""`graygate apply`: bring the routes to what a file says."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.difference import Change, change_lines
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags, why_flag, yes_flag
from gateway.cli.shown import count, print_json
from gateway.config.suggest import nearest
from gateway.errors import Problem, RefusedError, SettingsError

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SIGNS = {"create": ("+", "new"), "delete": ("-", "goes")}


class _Route(msgspec.Struct):
    route: str
    op: str
    revision: int
    changes: list[Change]


class _Plan(msgspec.Struct):
    dry_run: bool
    changed: int
    routes: list[_Route]


@click.command()
@gateway_flags
@why_flag
@yes_flag
@click.option(
    "-f", "--file", metavar="FILE|-", default="config/routes.toml", show_default=True,
    help="the routes, as TOML",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="only show what would change")
@click.option("--prune", is_flag=True, help="also take away what the file leaves out")
@click.option("--exit-code", is_flag=True, help="end with 5 when something changed, or would")
def apply(
    gateway: Gateway, as_json: bool, why: str, is_sure: bool, file: str, dry_run: bool,
    prune: bool, exit_code: bool,
) -> ExitCode:  # fmt: skip
    """Bring the routes to what a file says.

    What it leaves out stays as it is. With --prune routes, versions and fields that are left out
    go; weights, stable, paused, salt and lists stay all the same.

    \b
    graygate apply -f config/routes.toml --dry-run
    """
    if prune and not dry_run:
        require_somebody_to_ask(is_sure)
    name = "standard input" if file == "-" else file
    content = {"routes": _routes(name, _read(name, file)), "why": why or f"apply {name}"}
    if prune and not dry_run and not is_sure:
        body = _ask_gateway(gateway, name, content, dry_run=True, prune=True)
        _show(msgspec.json.decode(body, type=_Plan), err=True)
        ask("Do this?")
    body = _ask_gateway(gateway, name, content, dry_run=dry_run, prune=prune)
    plan = msgspec.json.decode(body, type=_Plan)
    if as_json:
        print_json(body)
    else:
        _show(plan)
    return ExitCode.DIFFERS if exit_code and plan.changed else ExitCode.OK


def _ask_gateway(
    gateway: Gateway, name: str, content: Mapping[str, object], *, dry_run: bool, prune: bool
) -> bytes:
    flags = {"dry_run": dry_run, "prune": prune}
    query = {flag: "true" for flag, is_set in flags.items() if is_set}
    try:
        return gateway.call("POST", "apply", content=content, query=query).body
    except RefusedError as error:
        if not error.problems:
            raise
        problems = (Problem(f"{name}: {one.where}", one.what) for one in error.problems)
        raise SettingsError(tuple(problems)) from None


def _show(plan: _Plan, *, err: bool = False) -> None:
    for route in plan.routes:
        if route.op == "same":
            continue
        sign, word = _SIGNS.get(route.op, ("~", f"revision {route.revision}"))
        click.echo(click.style(f"{sign} {route.route} ({word})", bold=True), err=err)
        for line in change_lines(route.changes):
            click.echo(line, err=err)
    same = len(plan.routes) - plan.changed
    verb = "would change" if plan.dry_run else "changed"
    click.echo(f"{count(plan.changed, 'route', 'routes')} {verb}, {same} as before.", err=err)


def _read(name: str, file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise _wrong(name, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _wrong(f"{name} line {line}", "is not valid UTF-8") from None


def _routes(name: str, text: str) -> dict[str, object]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        what = message[: place.start()] if place else message
        line = place.group(1) if place and place.group(1) else len(text.splitlines())
        raise _wrong(f"{name} line {line}", f"is not valid TOML: {what}") from None
    except (ValueError, RecursionError):
        what = "is not valid TOML: a value is too large or nested too deeply"
        raise _wrong(name, what) from None
    problems = [
        Problem(f"{name}: {key}", f"is nothing that a file of routes holds{_meant(key)}")
        for key in document
        if key != "routes"
    ]
    routes = document.get("routes", {})
    if not isinstance(routes, dict):
        problems.append(Problem(f"{name}: routes", "must be tables such as [routes.chat]"))
        routes = {}
    problems += [
        Problem(f"{name}: routes.{route}", "must be a table of fields")
        for route, content in routes.items()
        if not isinstance(content, dict)
    ]
    if problems:
        raise SettingsError(tuple(problems))
    return routes


def _meant(key: str) -> str:
    return "; did you mean [routes.NAME]?" if nearest(key, ["routes", "route"]) else ""


def _wrong(where: str, what: str) -> SettingsError:
    return SettingsError((Problem(where, what),))
