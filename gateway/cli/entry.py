"""The command `graygate`: its commands, and where each of them lives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from gateway import __version__
from gateway.cli.exits import MEANINGS
from gateway.cli.lazy import LazyCommand
from gateway.cli.program import NAME, Program
from gateway.compiled import build

# To add a command: one line here, and a click command of that name in the module. A test sees to
# it that the module is there and that both tell the same in the help.
COMMANDS: Mapping[str, LazyCommand] = MappingProxyType(
    {
        "up": LazyCommand(
            "gateway.cli.up:up", "Run store and gateway together, to try them or on one machine."
        ),
        "serve": LazyCommand("gateway.cli.serve:serve", "Run the gateway until it is told to end."),
        "ready": LazyCommand(
            "gateway.cli.ready:ready", "Tell by the exit code whether the gateway is ready."
        ),
        "get": LazyCommand(
            "gateway.cli.get:get", "Show the routes in force, or one of them in detail."
        ),
        "top": LazyCommand(
            "gateway.cli.top:top",
            "Watch requests, shares, errors and latencies of every version; q ends.",
        ),
        "events": LazyCommand(
            "gateway.cli.events:events",
            "Print what happens: changes, refusals, gateways, endpoints, alarms.",
        ),
        "doctor": LazyCommand(
            "gateway.cli.doctor:doctor", "Look at everything that may be wrong, and say what to do."
        ),
        "explain": LazyCommand(
            "gateway.cli.explain:explain", "Tell which version a unit or a request gets, and why."
        ),
        "preview": LazyCommand(
            "gateway.cli.preview:preview",
            "Tell how many units would move at other weights, and where to.",
        ),
        "weights": LazyCommand("gateway.cli.weights:weights", "Move the split of a route."),
        "whitelist": LazyCommand(
            "gateway.cli.lists:whitelist", "Choose the units that always get a version."
        ),
        "blacklist": LazyCommand(
            "gateway.cli.lists:blacklist", "Choose the units that always get stable."
        ),
        "history": LazyCommand(
            "gateway.cli.history:history",
            "Show what happened to a route; verify and export all that was recorded.",
        ),
        "rollback": LazyCommand(
            "gateway.cli.rollback:rollback",
            "Bring a route and its lists back to how they stood at a revision.",
        ),
        "release": LazyCommand(
            "gateway.cli.release:release",
            "Move a route from stable to a candidate, along a plan.",
        ),
        "drill": LazyCommand(
            "gateway.cli.drill:drill",
            "Rehearse the way back, on a route that no user reaches.",
        ),
        "shadow": LazyCommand(
            "gateway.cli.shadow:shadow",
            "Show how a mirror's answers compare with those of stable.",
        ),
        "feedback": LazyCommand(
            "gateway.cli.feedback:feedback", "Rate an answer, as its user did."
        ),
        "route": LazyCommand("gateway.cli.route:route", "Add, change or delete a route."),
        "version": LazyCommand(
            "gateway.cli.version:version", "Keep the registry of the versions of a route."
        ),
        "rules": LazyCommand("gateway.cli.rules:rules", "Choose versions by what requests are."),
        "segment": LazyCommand("gateway.cli.segment:segment", "Keep named sets of units."),
        "proposals": LazyCommand(
            "gateway.cli.proposals:proposals",
            "Consent to what others want to give a candidate, or refuse it.",
        ),
        "apply": LazyCommand("gateway.cli.apply:apply", "Bring the routes to what a file says."),
        "repopulate": LazyCommand(
            "gateway.cli.repopulate:repopulate",
            "Put the routes in force back into a store that lost them.",
        ),
        "token": LazyCommand(
            "gateway.cli.token:token", "Choose who may use the admin port, and do what."
        ),
        "override": LazyCommand(
            "gateway.cli.override:override",
            "Print a signed header that sends a request to a version.",
        ),
        "redis": LazyCommand(
            "gateway.cli.redis:redis",
            "Send commands to the store and print its replies, as redis-cli does.",
        ),
        "config": LazyCommand(
            "gateway.cli.config:config", "Check, show and describe the start-up settings."
        ),
        "completion": LazyCommand(
            "gateway.cli.completion:completion", "Print the completion script of a shell."
        ),
    }
)

_EXIT_CODES = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())

graygate = Program(
    name=NAME,
    commands=COMMANDS,
    help=f"Gray-release gateway for AI models.\n\n\b\nExit codes:\n{_EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        click.echo(f"{NAME} {__version__}, {build()}")
        context.exit()


click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_say_version,
    help="Show the version and exit.",
)(graygate)


def main() -> None:
    """Runs the command line of this process and ends it with an exit code."""
    graygate.main()
