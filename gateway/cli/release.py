"""`graygate release`: move a route from stable to a candidate, along a plan."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import click

from gateway.cli.client import Gateway, Reply
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags, revision_flag, why_flag, yes_flag
from gateway.cli.release_shown import Release, exit_of, headline, told
from gateway.cli.shown import local_time, plain, print_json, table
from gateway.errors import GatewayUnreachable, UsageError

WAIT_SECONDS = 25  # of one call; the gateway answers earlier when something happened
AWAY_SECONDS = 120.0  # so long `--wait` looks for a gateway that went away


@click.group()
def release() -> None:
    """Move a route from stable to a candidate, along a plan.

    \b
    graygate release plan chat v2
    graygate release start chat v2 --mode automatic --wait

    With --wait, and for watch, the exit code tells how it ended: 0 promoted, 1 rolled back,
    6 ended otherwise, 7 it still runs.
    """


def _plan_flags(command: Any) -> Any:
    """What makes a plan: a file, or a preset, and what goes before either."""
    for option in (
        click.option("--goal", metavar="TEXT", help="what the release is for"),
        click.option(
            "--mode",
            type=click.Choice(["manual", "semi-automatic", "automatic"]),
            help="what happens without a person",
        ),
        click.option(
            "--preset",
            type=click.Choice(["canary", "rolling", "blue-green", "ab"]),
            help="a well-known plan; canary when there is no file",
        ),
        click.option(
            "--plan",
            "file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="TOML file of the plan",
        ),
    ):
        command = option(command)
    return click.argument("route")(click.argument("candidate")(command))


def _document(
    file: Path | None, preset: str | None, mode: str | None, goal: str | None, candidate: str
) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if file is not None:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UsageError(f"The plan {file} cannot be read: {said}.") from None
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError(f"The plan {file} is not valid TOML: {error}.") from None
    elif preset is None:
        preset = "canary"
    named = {"preset": preset, "mode": mode, "goal": goal, "candidate": candidate}
    return document | {name: value for name, value in named.items() if value is not None}


@release.command()
@gateway_flags
@_plan_flags
def plan(
    gateway: Gateway,
    as_json: bool,
    route: str,
    candidate: str,
    file: Path | None,
    preset: str | None,
    mode: str | None,
    goal: str | None,
) -> None:
    """Tell what a plan means at the traffic of now; nothing is started."""
    content = {"plan": _document(file, preset, mode, goal, candidate)}
    reply = gateway.call("POST", "routes", route, "release", "plan", content=content)
    if as_json:
        print_json(reply.body)
    else:
        click.echo(reply.read(dict[str, Any])["words"])


@release.command()
@gateway_flags
@why_flag
@revision_flag
@_plan_flags
@click.option("--wait", "waits", is_flag=True, help="stay until it is over")
@click.option(
    "--timeout", type=click.IntRange(min=1), metavar="SECONDS", help="with --wait: no longer"
)
def start(
    gateway: Gateway,
    as_json: bool,
    why: str,
    revision: int | None,
    route: str,
    candidate: str,
    file: Path | None,
    preset: str | None,
    mode: str | None,
    goal: str | None,
    waits: bool,
    timeout: int | None,
) -> ExitCode:
    """Start a release; the gateway that leads conducts it."""
    content = {"plan": _document(file, preset, mode, goal, candidate), "why": why}
    reply = gateway.call("POST", "routes", route, "release", content=content, revision=revision)
    begun = reply.read(Release)
    if not waits:
        _print(reply, as_json)
        return ExitCode.OK
    if not as_json:
        click.echo(headline(begun))
    return _follow(gateway, route, as_json, begun, timeout)


@release.command()
@gateway_flags
@click.argument("route")
def status(gateway: Gateway, as_json: bool, route: str) -> None:
    """Show the release that runs, or ran last."""
    _print(gateway.get("routes", route, "release"), as_json)


@release.command("list")
@gateway_flags
@click.argument("route")
def index(gateway: Gateway, as_json: bool, route: str) -> None:
    """Show the releases that ended, newest first."""
    reply = gateway.get("routes", route, "releases")
    if as_json:
        print_json(reply.body)
        return
    rows = [
        (
            one["status"]["release_id"],
            local_time(int(1000 * one["status"]["started_at"])),
            one["status"]["candidate"],
            one["status"]["phase"],
            one["status"]["plan"].get("goal", ""),
        )
        for one in reply.read(list[dict[str, Any]])
    ]
    if rows:
        click.echo(table(("RELEASE", "STARTED", "CANDIDATE", "ENDED", "GOAL"), rows))
    else:
        click.echo(f"No release of {route} has ended yet.")


@release.command()
@gateway_flags
@click.option(
    "--format",
    "kind",
    type=click.Choice(["markdown", "html", "json"]),
    default="markdown",
    show_default=True,
    help="what it is written as",
)
@click.option("--release", "name", default="", metavar="ID", help="an earlier one; see list")
@click.argument("route")
def report(gateway: Gateway, as_json: bool, kind: str, name: str, route: str) -> None:
    """Print the report of the release that runs, or ran last."""
    kind = "json" if as_json else kind
    query = {"format": kind} | ({"release": name} if name else {})
    takes = {"markdown": "text/markdown", "html": "text/html", "json": "application/json"}[kind]
    path = ("routes", route, "release", "report")
    click.echo(gateway.call("GET", *path, query=query, takes=takes).body)


@release.command()
@gateway_flags
@click.option("--timeout", type=click.IntRange(min=1), metavar="SECONDS", help="no longer")
@click.argument("route")
def watch(gateway: Gateway, as_json: bool, route: str, timeout: int | None) -> ExitCode:
    """Print what happens to a release until it is over."""
    begun = gateway.get("routes", route, "release").read(Release)
    if begun.status is None:
        raise UsageError(f"There never was a release of {route}.")
    if not as_json:
        click.echo(headline(begun))
    return _follow(gateway, route, as_json, begun, timeout)


def _follow(
    gateway: Gateway, route: str, as_json: bool, known: Release, timeout: int | None
) -> ExitCode:
    """Prints decisions as they are made; a gateway may go away for a while."""
    ends = None if timeout is None else time.monotonic() + timeout
    heard_at = time.monotonic()
    while known.running:
        left = WAIT_SECONDS if ends is None else min(WAIT_SECONDS, ends - time.monotonic())
        if left <= 0:
            return ExitCode.STILL_RUNS
        query = {"after": known.step, "seconds": max(round(left), 1)}
        try:
            reply = gateway.get("routes", route, "release", "watch", query=query)
        except GatewayUnreachable:
            if time.monotonic() - heard_at > AWAY_SECONDS:
                raise
            time.sleep(1)
            continue
        heard_at = time.monotonic()
        new = reply.read(Release)
        if new.release != known.release:
            raise UsageError(f"Release {known.release} is over, and {new.release} runs now.")
        for line in told(new, after=known):
            click.echo(plain(line) if not as_json else line, err=as_json)
        known = new
    if as_json:
        _print(gateway.get("routes", route, "release"), as_json)
    return exit_of(known)


def _print(reply: Reply, as_json: bool) -> None:
    if as_json:
        print_json(reply.body)
        return
    seen = reply.read(Release)
    click.echo(headline(seen))
    for line in told(seen):
        click.echo(plain(line))


def _say(
    gateway: Gateway, as_json: bool, route: str, kind: str, verb: str, why: str, about: str
) -> None:
    content = {"verb": verb, "why": why, "about": about}
    reply = gateway.call("POST", "routes", route, "release", kind, content=content)
    if as_json:
        print_json(reply.body)
        return
    seen = reply.read(Release)
    click.echo(headline(seen))
    if not seen.taken and seen.problem:
        click.echo(plain(f"It was not taken yet, for the release cannot go on: {seen.problem}"))
    elif not seen.taken:
        click.echo("No gateway has taken it yet; the next one that leads will.")


_about = click.option(
    "--about", default="", metavar="PROPOSAL", help="only if this is what is proposed"
)


@release.command()
@gateway_flags
@why_flag
@_about
@click.argument("route")
def approve(gateway: Gateway, as_json: bool, why: str, about: str, route: str) -> None:
    """Agree to what is proposed."""
    _say(gateway, as_json, route, "approvals", "approve", why, about)


@release.command()
@gateway_flags
@why_flag
@click.argument("route")
def pause(gateway: Gateway, as_json: bool, why: str, route: str) -> None:
    """Stay at the weight of now; alarms still act."""
    _say(gateway, as_json, route, "commands", "pause", why, "")


@release.command()
@gateway_flags
@why_flag
@click.argument("route")
def resume(gateway: Gateway, as_json: bool, why: str, route: str) -> None:
    """Go on after a pause, at the weight of the plan."""
    _say(gateway, as_json, route, "commands", "resume", why, "")


@release.command()
@gateway_flags
@why_flag
@yes_flag
@click.argument("route")
def promote(gateway: Gateway, as_json: bool, why: str, is_sure: bool, route: str) -> None:
    """Go to the next stage at once, proof or no proof."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Give the candidate of {route} the next stage without waiting for proof?")
    _say(gateway, as_json, route, "approvals", "promote", why, "")


@release.command()
@gateway_flags
@why_flag
@click.argument("route")
def abort(gateway: Gateway, as_json: bool, why: str, route: str) -> None:
    """End the release; the weight of before comes back."""
    _say(gateway, as_json, route, "commands", "abort", why, "")


@release.command()
@gateway_flags
@why_flag
@click.argument("route")
def rollback(gateway: Gateway, as_json: bool, why: str, route: str) -> None:
    """Take all traffic from the candidate at once, also after it was promoted."""
    _say(gateway, as_json, route, "commands", "rollback", why, "")


@release.command("continue")
@gateway_flags
@why_flag
@yes_flag
@click.argument("route")
def go_on(gateway: Gateway, as_json: bool, why: str, is_sure: bool, route: str) -> None:
    """Go on after a hold or out of quarantine, whatever was found so far."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Go on with the release of {route} against the judge?")
    _say(gateway, as_json, route, "approvals", "continue", why, "")


@release.command("release-latch")
@gateway_flags
@why_flag
@click.argument("route")
def release_latch(gateway: Gateway, as_json: bool, why: str, route: str) -> None:
    """Allow another release after a rollback."""
    _say(gateway, as_json, route, "approvals", "release-latch", why, "")
