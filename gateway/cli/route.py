"""`graygate route`: what concerns a route as a whole."""

from __future__ import annotations

import click

from gateway.cli.client import Gateway, Reply
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, revision_flag, why_flag, yes_flag
from gateway.cli.picture import Written
from gateway.cli.shown import print_json


@click.group()
def route() -> None:
    """Add, change or delete a route."""


_settings = click.argument("settings", nargs=-1, required=True, metavar="FIELD=VALUE...")


@route.command()
@gateway_flags
@why_flag
@click.option(
    "--version", "versions", multiple=True, required=True, metavar="NAME=URL[,URL...]",
    help="a version and where it answers; the first one is stable",
)  # fmt: skip
@click.argument("route")
@click.argument("settings", nargs=-1, metavar="[FIELD=VALUE]...")
def add(
    gateway: Gateway,
    as_json: bool,
    why: str,
    versions: tuple[str, ...],
    route: str,
    settings: tuple[str, ...],
) -> None:
    """Add a route; the fields are those of its key in the store.

    \b
    graygate route add rank --version v1=http://10.0.0.1:8000 path=/rank dialect=openai
    """
    urls = {name: text.split(",") for name, text in _pairs(versions).items()}
    content = {"stable": next(iter(urls)), **_pairs(settings), "versions": urls}
    body = {"route": content, "why": why}
    reply = gateway.call("PUT", "routes", route, content=body, query={"new": "true"})
    _say(reply, as_json, route)


@route.command("set")
@gateway_flags
@why_flag
@revision_flag
@click.argument("route")
@_settings
def change(
    gateway: Gateway,
    as_json: bool,
    why: str,
    revision: int | None,
    route: str,
    settings: tuple[str, ...],
) -> None:
    """Set fields of a route; one without a value goes back to its default.

    \b
    graygate route set chat timeout_first_byte=30 mirror=
    """
    content = {name: value or None for name, value in _pairs(settings).items()}
    body = {"route": content, "why": why}
    _say(gateway.call("PATCH", "routes", route, content=body, revision=revision), as_json, route)


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{text[:64]!a} is no setting: write NAME=VALUE")
        if name in pairs:
            raise click.UsageError(f"{name} is given twice; keep one of them")
        pairs[name] = value
    return pairs


def _say(reply: Reply, as_json: bool, route: str) -> None:
    if as_json:
        print_json(reply.body)
        return
    written = reply.read(Written)
    if written.changed:
        click.echo(f"{route}: revision {written.revision}.")
    else:
        click.echo(f"{route}: as before; revision {written.revision} stays.")


@route.command()
@gateway_flags
@why_flag
@revision_flag
@yes_flag
@click.argument("route")
def delete(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, is_sure: bool, route: str
) -> None:
    """Delete a route; its history and its lists stay, so that it can come back."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Delete route {route}? Requests will not find it any more.")
    query = {"why": why} if why else None
    reply = gateway.call("DELETE", "routes", route, query=query, revision=revision)
    if as_json:
        print_json(reply.body)
        return
    stands = reply.read(Written).revision
    click.echo(
        f"{route}: deleted, revision {stands}; "
        f"back with: graygate rollback {route} --to {stands - 1}"
    )
