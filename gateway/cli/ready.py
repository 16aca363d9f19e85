"""`graygate ready`: the exit code says whether the gateway is ready; a health check for images."""

from __future__ import annotations

import os

import click

from gateway.cli.client import find_gateway
from gateway.cli.exits import ExitCode
from gateway.config.variables import GATEWAY_VARIABLE


@click.command()
@click.option(
    "--gateway",
    metavar="URL",
    help=f"admin port; else ${GATEWAY_VARIABLE}, else the gateway that runs in this folder",
)
@click.option("--live", "is_live_enough", is_flag=True, help="ask only whether it is alive")
def ready(gateway: str | None, is_live_enough: bool) -> ExitCode:
    """Tell by the exit code whether the gateway is ready.

    0 = ready, 1 = not ready and why, 3 = nobody answers. An image has it as HEALTHCHECK.
    """
    path = "healthz" if is_live_enough else "readyz"
    status, text = find_gateway(gateway, os.environ).probe(path)
    click.echo(text.strip() if status in (200, 503) else f"not ready: it answers {status}")
    return ExitCode.OK if status == 200 else ExitCode.FAILED
