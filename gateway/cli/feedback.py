"""`graygate feedback`: what a user thinks of an answer."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.shown import plain, print_json


class _Taken(msgspec.Struct):
    joined: int
    unknown: int
    repeated: int


@click.command()
@gateway_flags
@click.option("--up", "is_up", is_flag=True, help="it was good")
@click.option("--down", "is_down", is_flag=True, help="it was bad")
@click.option("--score", type=click.FloatRange(0, 1), help="how good; below 0.5 is bad")
@click.option("--name", help="what the rating is about; the judge has a family of that name")
@click.argument("route")
@click.argument("request_id")
def feedback(
    gateway: Gateway,
    as_json: bool,
    is_up: bool,
    is_down: bool,
    score: float | None,
    name: str | None,
    route: str,
    request_id: str,
) -> ExitCode | None:
    """Rate an answer, as its user did.

    REQUEST_ID is what stood in its X-Request-Id.

    \b
    graygate feedback chat 5f0c2a7e --down
    graygate feedback chat 5f0c2a7e --score 0.8 --name helpful
    """
    if [is_up, is_down, score is not None].count(True) != 1:
        raise click.UsageError("say just one of --up, --down and --score")
    label = "up" if is_up else "down" if is_down else None
    said = {"request_id": request_id, "label": label, "score": score, "name": name}
    content = {key: value for key, value in said.items() if value is not None}
    reply = gateway.call("POST", "routes", route, "feedback", content=content)
    taken = reply.read(_Taken)
    if as_json:
        print_json(reply.body)
    elif taken.joined:
        click.echo(f"{route}: the answer to {plain(request_id)} has its rating.")
    elif taken.repeated:
        click.echo(f"{route}: the answer to {plain(request_id)} had its rating already.")
    else:
        click.echo(
            f"{route}: nobody remembers an answer to {plain(request_id)}; answers are remembered "
            "for a day, from two seconds after their end, as the route's field feedback says.",
            err=True,
        )
        return ExitCode.FAILED
    return None
