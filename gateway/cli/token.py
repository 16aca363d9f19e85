"""`graygate token`: who may use the admin port, and do what."""

from __future__ import annotations

import re

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags, why_flag
from gateway.cli.shown import local_time, print_json, table

ROLES = ("viewer", "operator", "approver", "admin")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_MOST_DAYS = 3660


class _Token(msgspec.Struct):
    name: str
    role: str
    routes: list[str]
    created: int
    expires: int | None
    revoked: int | None
    valid: bool


class _Created(_Token):
    id: str
    token: str


class _Tokens(msgspec.Struct):
    tokens: dict[str, _Token]
    refused: list[str]


class _Revoked(msgspec.Struct):
    revoked: list[str]


def _expires(ctx: click.Context, param: click.Parameter, text: str) -> int:
    if text == "never":
        return 0
    found = re.fullmatch(r"([0-9]+)([mhd])", text)
    if found is None:
        raise click.UsageError("--expires takes a time such as 12h or 90d, or never", ctx)
    # So many digits that int() would refuse them are too many in any case.
    seconds = int(found[1][:18]) * _SECONDS[found[2]]
    if not 0 < seconds <= _MOST_DAYS * _SECONDS["d"]:
        raise click.UsageError(
            f"--expires takes 1m to {_MOST_DAYS}d, or never; not {text[:32]}", ctx
        )
    return seconds


@click.group()
def token() -> None:
    """Choose who may use the admin port, and do what."""


@token.command()
@gateway_flags
@why_flag
@click.option("--role", type=click.Choice(ROLES), required=True, help="what it may do")
@click.option(
    "--routes", default="*", show_default=True, metavar="GLOB,GLOB", help="the routes it is for"
)
@click.option(
    "--expires", "seconds", default="never", show_default=True, metavar="TIME", callback=_expires,
    help="when it ends, as in 12h, 90d",
)  # fmt: skip
@click.argument("name")
def create(
    gateway: Gateway, as_json: bool, why: str, role: str, routes: str, seconds: int, name: str
) -> None:
    """Make a token for a person or a machine; it is shown this once.

    A name may have several: make the new one, put it where the old one is, take that back.
    """
    content = {
        "name": name,
        "role": role,
        "routes": [glob.strip() for glob in routes.split(",")],
        "expires_seconds": seconds,
        "why": why,
    }
    reply = gateway.call("POST", "tokens", content=content)
    if as_json:
        print_json(reply.body)
        return
    made = reply.read(_Created)
    click.echo(made.token)
    ends = f"until {_time(made.expires)}" if made.expires else "until it is taken back"
    click.echo(
        f"Token {made.id} of {made.name}: {made.role} of {', '.join(made.routes)}, {ends}. "
        "It is not shown again.",
        err=True,
    )


@token.command("list")
@gateway_flags
def list_tokens(gateway: Gateway, as_json: bool) -> None:
    """Show all tokens, but not what they are."""
    reply = gateway.get("tokens")
    if as_json:
        print_json(reply.body)
        return
    told = reply.read(_Tokens)
    rows = [
        (key, one.name, one.role, ",".join(one.routes), _time(one.created), _state(one))
        for key, one in sorted(told.tokens.items(), key=_by_name)
    ]
    if rows:
        click.echo(table(("ID", "NAME", "ROLE", "ROUTES", "CREATED", "STATE"), rows))
    else:
        click.echo("There are no tokens in the store.")
    for text in told.refused:
        click.echo(f"refused  {text}")


@token.command()
@gateway_flags
@why_flag
@click.argument("token", metavar="ID|NAME")
def revoke(gateway: Gateway, as_json: bool, why: str, token: str) -> None:
    """Take back a token, or all tokens of a name."""
    reply = gateway.call("DELETE", "tokens", token, query={"why": why} if why else None)
    if as_json:
        print_json(reply.body)
        return
    for key in reply.read(_Revoked).revoked:
        click.echo(f"Token {key} is taken back.")


def _by_name(item: tuple[str, _Token]) -> tuple[str, int]:
    return item[1].name, item[1].created


def _state(one: _Token) -> str:
    if one.revoked:
        return f"taken back {_time(one.revoked)}"
    if one.expires:
        return f"{'until' if one.valid else 'ended'} {_time(one.expires)}"
    return "valid"


def _time(seconds: int | None) -> str:
    return local_time((seconds or 0) * 1000)
