"""`graygate proposals`: what waits for the consent of a second person."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags, why_flag
from gateway.cli.shown import print_json


class _Waiting(msgspec.Struct):
    id: str
    route: str
    segment: str
    revision: int
    by: str
    why: str
    raises: list[str]
    expires: int


class _Consented(msgspec.Struct):
    revision: int


class _Refused(msgspec.Struct):
    refused: bool


@click.group()
def proposals() -> None:
    """Consent to what others want to give a candidate, or refuse it."""


@proposals.command("list")
@gateway_flags
def list_proposals(gateway: Gateway, as_json: bool) -> None:
    """Show what waits for consent, oldest first; --json shows every changed field."""
    reply = gateway.get("proposals")
    if as_json:
        print_json(reply.body)
        return
    waiting = reply.read(list[_Waiting])
    for one in waiting:
        about = f"segment {one.segment}" if one.segment else one.route
        until = datetime.fromtimestamp(one.expires, UTC).strftime("%Y-%m-%d %H:%M UTC")
        why = f', "{one.why}"' if one.why else ""
        raises = "; ".join(one.raises)
        click.echo(f"{one.id}  {about}: {raises} (by {one.by}{why}; until {until})")
    if not waiting:
        click.echo("Nothing waits for consent.")


@proposals.command()
@gateway_flags
@why_flag
@click.argument("proposal", metavar="ID")
def approve(gateway: Gateway, as_json: bool, why: str, proposal: str) -> None:
    """Write what another person proposed, if nothing moved since then."""
    reply = gateway.call("POST", "proposals", proposal, "approve", content={"why": why})
    if as_json:
        print_json(reply.body)
        return
    click.echo(f"{proposal} is written: revision {reply.read(_Consented).revision}.")


@proposals.command()
@gateway_flags
@why_flag
@click.argument("proposal", metavar="ID")
def refuse(gateway: Gateway, as_json: bool, why: str, proposal: str) -> None:
    """Take a proposal away; also your own."""
    reply = gateway.call("POST", "proposals", proposal, "refuse", content={"why": why})
    if as_json:
        print_json(reply.body)
    elif reply.read(_Refused).refused:
        click.echo(f"{proposal} is refused; nothing was written.")
    else:
        click.echo(f"{proposal} was gone already.")
