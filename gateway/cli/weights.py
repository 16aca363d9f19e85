"""`graygate weights`: move the split of a route."""

from __future__ import annotations

import re

import click

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags, why_flag
from gateway.cli.picture import Written
from gateway.cli.shown import percent, print_json

_ASSIGNMENT = re.compile(r"([^=]+)=([0-9]{1,3}(?:\.[0-9]{1,6})?)%?")


def parse_weights(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """The callback of an argument that takes `v2=20 v3=5`."""
    weights: dict[str, float] = {}
    for text in given:
        found = _ASSIGNMENT.fullmatch(text)
        if found is None or float(found[2]) > 100:
            raise click.UsageError(
                f"{text[:64]!a} is no weight: write VERSION=PERCENT from 0 to 100, as in v2=20", ctx
            )
        if found[1] in weights:
            raise click.UsageError(f"{found[1]} is given twice; keep one of them", ctx)
        weights[found[1]] = float(found[2])
    return weights


@click.group()
def weights() -> None:
    """Move the split of a route."""


@weights.command("set")
@gateway_flags
@why_flag
@click.option(
    "--revision", type=click.IntRange(min=0), help="only if the route still stands at this revision"
)
@click.argument("route")
@click.argument(
    "wanted", nargs=-1, required=True, metavar="VERSION=PERCENT...", callback=parse_weights
)
def set_weights(
    gateway: Gateway,
    as_json: bool,
    why: str,
    revision: int | None,
    route: str,
    wanted: dict[str, float],
) -> None:
    """Set the percent of units of candidates; the others keep theirs, stable takes the rest.

    \b
    graygate weights set chat v2=20
    """
    content = {"weights": wanted, "why": why}
    reply = gateway.call("PUT", "routes", route, "weights", content=content, revision=revision)
    if as_json:
        print_json(reply.body)
        return
    written = reply.read(Written)
    told = ", ".join(f"{name} {percent(weight)}" for name, weight in wanted.items())
    if written.changed:
        click.echo(f"{route}: {told}; revision {written.revision}.")
    else:
        click.echo(f"{route}: {told} as before; revision {written.revision} stays.")
