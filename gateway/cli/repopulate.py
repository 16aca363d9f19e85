"""`graygate repopulate`: put the routes in force back into a store that lost them."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, why_flag, yes_flag
from gateway.cli.shown import print_json


class _Done(msgspec.Struct):
    routes: dict[str, int]


@click.command()
@gateway_flags
@why_flag
@yes_flag
def repopulate(gateway: Gateway, as_json: bool, why: str, is_sure: bool) -> None:
    """Put the routes in force back into a store that lost them."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask("Write every route that the store has lost back into it, with its lists?")
    reply = gateway.call("POST", "repopulate", content={"why": why})
    if as_json:
        print_json(reply.body)
        return
    done = reply.read(_Done).routes
    for name, revision in done.items():
        click.echo(f"{name}: put back, revision {revision}.")
    if not done:
        click.echo("Nothing to do: the store has lost no route.")
