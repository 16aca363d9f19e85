"""`graygate route`: what concerns a route as a whole."""

from __future__ import annotations

import click

from gateway.cli.client import Gateway
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, why_flag, yes_flag
from gateway.cli.picture import Written
from gateway.cli.shown import print_json


@click.group()
def route() -> None:
    """Delete a route."""


@route.command()
@gateway_flags
@why_flag
@yes_flag
@click.argument("route")
def delete(gateway: Gateway, as_json: bool, why: str, is_sure: bool, route: str) -> None:
    """Delete a route; its history and its lists stay, so that it can come back."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Delete route {route}? Requests will not find it any more.")
    reply = gateway.call("DELETE", "routes", route, query={"why": why} if why else None)
    if as_json:
        print_json(reply.body)
        return
    revision = reply.read(Written).revision
    click.echo(
        f"{route}: deleted, revision {revision}; "
        f"back with: graygate rollback {route} --to {revision - 1}"
    )
