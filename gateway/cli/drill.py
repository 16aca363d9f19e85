"""`graygate drill`: rehearse the way back, on a route that no user reaches."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags, why_flag
from gateway.cli.shown import local_time, plain, print_json, table
from gateway.errors import GraygateError, UsageError

POLL_SECONDS = 0.5
AWAY_SECONDS = 60.0  # so long `--wait` looks for a gateway that went away


class _Times(msgspec.Struct):
    detected: float | None = None
    decided: float | None = None
    seen: float | None = None
    propagated: float | None = None
    quiet: float | None = None
    total: float | None = None


class _Report(msgspec.Struct):
    id: str
    kind: str
    outcome: str
    target: float
    began: float
    text: str
    times: _Times = msgspec.field(default_factory=_Times)


class _Drills(msgspec.Struct):
    running: _Report | None
    reports: list[_Report]
    every: float
    due_at: float | None
    overdue: bool


@click.group()
def drill() -> None:
    """Rehearse the way back, on a route that no user reaches.

    \b
    graygate drill start chat --wait
    graygate drill start chat --kind cut --target 6

    A stand-in of the candidate gets requests of the drill's own, is broken on purpose, and the
    time is taken until nobody is sent to it any more. With --wait the exit code is 0 when that was
    as fast as wanted, and 1 when not.
    """


@drill.command()
@gateway_flags
@why_flag
@click.option(
    "--kind",
    type=click.Choice(["errors", "latency", "cut", "garbled"]),
    default="errors",
    show_default=True,
    help="what goes wrong; latency takes more than a minute",
)
@click.option("--target", type=float, metavar="SECONDS", help="wanted time to weight 0 everywhere")
@click.option("--version", metavar="VERSION", help="that the stand-in passes requests on to")
@click.option("--weight", type=float, metavar="PERCENT", help="of the drill's requests; 10")
@click.option("--rate", type=float, metavar="PER_SECOND", help="requests of the drill; 40")
@click.option("--method", help="of the requests; GET")
@click.option("--path", help="of the requests; what health checks ask for, or the route's own")
@click.option(
    "--body",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="file with the JSON body of the requests",
)
@click.option("--wait", "waits", is_flag=True, help="stay until it is over")
@click.argument("route")
def start(
    gateway: Gateway, as_json: bool, why: str, route: str, waits: bool, body: Path | None,
    **ask: Any,
) -> ExitCode:  # fmt: skip
    """Begin a drill; it ends by itself and takes away all that it made."""
    content = {name: value for name, value in ask.items() if value is not None}
    if body is not None:
        try:
            content["body"] = body.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"The body {body} cannot be read, or is not UTF-8.") from None
    reply = gateway.call("POST", "routes", route, "drill", content={**content, "why": why})
    begun = reply.read(_Report)
    if not waits:
        if as_json:
            print_json(reply.body)
        else:
            click.echo(plain(begun.text))
        return ExitCode.OK
    return _follow(gateway, route, begun.id, as_json)


@drill.command()
@gateway_flags
@click.argument("route")
def status(gateway: Gateway, as_json: bool, route: str) -> None:
    """Show the drill that runs, or the newest report, and when the next one is due."""
    reply = gateway.get("routes", route, "drills")
    if as_json:
        print_json(reply.body)
        return
    found = reply.read(_Drills)
    newest = found.running or (found.reports[0] if found.reports else None)
    lines = _told(newest) if newest else [f"No drill of {route} was ever made."]
    if found.due_at is not None:
        late = ", which is over" if found.overdue else ""
        lines.append(f"next one due by {local_time(round(1000 * found.due_at))}{late}")
    click.echo("\n".join(lines))


@drill.command("list")
@gateway_flags
@click.argument("route")
def index(gateway: Gateway, as_json: bool, route: str) -> None:
    """Show the last drills, newest first."""
    reply = gateway.get("routes", route, "drills")
    if as_json:
        print_json(reply.body)
        return
    rows = [
        (
            one.id, local_time(round(1000 * one.began)), one.kind, one.outcome,
            _seconds(one.times.total), f"{one.target:g} s",
        )
        for one in reply.read(_Drills).reports
    ]  # fmt: skip
    if rows:
        click.echo(table(("DRILL", "BEGAN", "KIND", "OUTCOME", "TOOK", "WANTED"), rows))
    else:
        click.echo(f"No drill of {route} was ever made.")


def _follow(gateway: Gateway, route: str, name: str, as_json: bool) -> ExitCode:
    """Prints what it does until there is a report."""
    said, heard_at = "", time.monotonic()
    while True:
        try:
            found = gateway.get("routes", route, "drills").read(_Drills)
        except GraygateError:
            if time.monotonic() - heard_at > AWAY_SECONDS:
                raise
            time.sleep(POLL_SECONDS)
            continue
        heard_at = time.monotonic()
        report = next((one for one in found.reports if one.id == name), None)
        if report is not None:
            text = msgspec.json.encode(report) if as_json else "\n".join(_told(report)).encode()
            click.echo(text.decode())
            return ExitCode.OK if report.outcome == "passed" else ExitCode.FAILED
        if found.running is None or found.running.id != name:
            raise UsageError(f"Drill {name} is gone: its gateway died in the middle of it.")
        if found.running.text != said and not as_json:
            said = found.running.text
            click.echo(plain(said))
        time.sleep(POLL_SECONDS)


def _told(report: _Report) -> list[str]:
    times = report.times
    steps = (
        ("first hold or alarm", times.detected),
        ("decided", times.decided),
        ("written", times.seen),
        ("held by all workers", times.propagated),
        ("last request that met it", times.quiet),
    )
    lines = [f"  {name:<30}{_seconds(at):>9}" for name, at in steps if at is not None]
    return [plain(report.text), *lines]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
