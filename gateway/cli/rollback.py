"""`graygate rollback`: bring a route back to how it stood at a revision."""

from __future__ import annotations

import click

from gateway.cli.client import Gateway
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, revision_flag, why_flag, yes_flag
from gateway.cli.picture import Written
from gateway.cli.shown import print_json


@click.command()
@gateway_flags
@click.option(
    "--to", "to_revision", type=click.IntRange(min=1), required=True,
    help="the revision to go back to",
)  # fmt: skip
@why_flag
@revision_flag
@yes_flag
@click.argument("route")
def rollback(
    gateway: Gateway,
    as_json: bool,
    to_revision: int,
    why: str,
    revision: int | None,
    is_sure: bool,
    route: str,
) -> None:
    """Bring a route and its lists back to how they stood at a revision.

    \b
    graygate history chat
    graygate rollback chat --to 12
    """
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Bring route {route} and its lists back to revision {to_revision}?")
    content = {"revision": to_revision, "why": why}
    reply = gateway.call("POST", "routes", route, "revert", content=content, revision=revision)
    if as_json:
        print_json(reply.body)
        return
    written = reply.read(Written)
    if written.changed:
        click.echo(f"{route}: as at revision {to_revision}; this is revision {written.revision}.")
    else:
        stays = f"{written.revision} stays"
        click.echo(f"{route}: stands as at revision {to_revision} already; {stays}.")
