"""`graygate doctor`: everything that one would look at by night, and what to do about it."""

from __future__ import annotations

import ipaddress
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.doctor_checks import Check, State, checks_of, fail
from gateway.cli.doctor_facts import DiskFacts, StoreFacts, ask_gateway, ask_store, look_at_disk
from gateway.cli.exits import DoctorCode
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.redis import store_settings
from gateway.cli.shown import count, plain, print_json
from gateway.config.load import load
from gateway.errors import SettingsError

_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red", State.UNKNOWN: "cyan"}


@click.command()
@gateway_flags
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="settings file of the gateway; else $GRAYGATE_CONFIG, else config/gateway.toml",
)
@click.option("--redis", "url", metavar="URL", help="the store, where the settings name another")
@click.option("--quiet", "is_quiet", is_flag=True, help="tell only what is not well")
def doctor(
    gateway: Gateway, as_json: bool, config: Path | None, url: str | None, is_quiet: bool
) -> int:
    """Look at everything that may be wrong, and say what to do.

    It asks the gateway, and the store by itself: with one of them down it still tells the rest.

    \b
    Exit codes:
      0  all is well
      1  there are warnings
      2  something fails
    """
    checks = _look(gateway, config, url)
    counts = Counter(check.state for check in checks)
    code = (
        DoctorCode.FAILS if counts[State.FAIL]
        else DoctorCode.WARNS if counts[State.WARN]
        else DoctorCode.WELL
    )  # fmt: skip
    if as_json:
        told = {"code": int(code), "checks": [asdict(check) for check in checks]}
        print_json(msgspec.json.encode(told))
        return int(code)
    for check in checks:
        if not is_quiet or check.state in (State.WARN, State.FAIL):
            _show(check)
    click.echo(_summary(counts))
    return int(code)


def _look(gateway: Gateway, config: Path | None, url: str | None) -> Sequence[Check]:
    facts = ask_gateway(gateway)
    try:
        store = ask_store(store_settings(config, url))
        folder = load(config, os.environ, {}).settings.process.state_dir
    except SettingsError as error:
        wrong = [
            fail("settings", str(problem), "graygate config check") for problem in error.problems
        ]
        store = StoreFacts("", error="the settings that name it are wrong")
        return [*wrong, *checks_of(facts, store, None)]
    disk: DiskFacts | None = None
    if facts.error or _is_here(gateway.url):
        disk = look_at_disk(folder)
    return list(checks_of(facts, store, disk))


def _is_here(url: str) -> bool:
    """Whether the gateway is on this machine, as far as its address tells."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _show(check: Check) -> None:
    state = click.style(f"{check.state.value:8s}", fg=_COLOURS[check.state])
    click.echo(f"{state}{check.name:16s}{plain(check.text)}")
    if check.todo:
        click.echo(f"{'':8s}{'':16s}-> {plain(check.todo)}")


def _summary(counts: Counter[State]) -> str:
    parts = [f"{counts[State.OK]} ok"]
    if counts[State.WARN]:
        parts.append(count(counts[State.WARN], "warning", "warnings"))
    if counts[State.FAIL]:
        parts.append(count(counts[State.FAIL], "failure", "failures"))
    if counts[State.UNKNOWN]:
        parts.append(f"{counts[State.UNKNOWN]} not known")
    return ", ".join(parts) + "."
