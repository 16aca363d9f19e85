"""`graygate override`: a signed header that sends one's own requests to a version."""

from __future__ import annotations

import re
import time

import click
import msgspec

from gateway.cli.settings_flags import SettingsSource, settings_flags
from gateway.cli.shown import local_time, print_json
from gateway.errors import Problem, SettingsError
from gateway.routing.override import sign_override

HEADER = "X-Graygate-Override"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MOST_DAYS = 365

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _duration(ctx: click.Context, param: click.Parameter, text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,8})([smhd])", text)
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= MOST_DAYS * SECONDS["d"]:
        raise click.UsageError(
            f"--for takes a time such as 30s, 10m, 2h or 7d, at most {MOST_DAYS}d", ctx
        )
    return seconds


def _name(ctx: click.Context, param: click.Parameter, text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise click.UsageError(f"{text[:64]!a} is no name of a {param.name}", ctx)
    return text


@click.command()
@settings_flags
@click.option("--for", "seconds", default="10m", show_default=True, metavar="TIME",
              callback=_duration, help="how long it holds, as in 30s, 10m, 2h")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.argument("route", callback=_name)
@click.argument("version", callback=_name)
def override(source: SettingsSource, seconds: int, as_json: bool, route: str, version: str) -> None:
    """Print a signed header that sends a request to a version.

    \b
    curl -H "$(graygate override chat v2)" http://127.0.0.1:8080/v1/models

    It is signed with routing.override_key, which must be the one of the gateway. No gateway is
    asked: whether there is such a route and version is not checked.
    """
    key = source.load().settings.routing.override_key
    if not key:
        raise SettingsError(
            (
                Problem(
                    "routing.override_key",
                    "is not set, and without it gateways ignore the header; give them and this "
                    "command the same one: GRAYGATE_ROUTING__OVERRIDE_KEY_FILE=PATH",
                ),
            )
        )
    expiry = int(time.time()) + seconds
    value = sign_override(key.reveal().encode(), route, version, expiry)
    if as_json:
        told = {"header": HEADER, "value": value, "expires": local_time(expiry * 1000)}
        print_json(msgspec.json.encode(told))
    else:
        click.echo(f"{HEADER}: {value}")
