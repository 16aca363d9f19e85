"""The flags of every command that speaks to a running gateway."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from gateway.cli.client import find_gateway
from gateway.config.variables import GATEWAY_VARIABLE

P = ParamSpec("P")
R = TypeVar("R")


def gateway_flags(command: Callable[P, R]) -> Callable[..., R]:
    """Gives a command --gateway and --json; it receives them as `gateway` and `as_json`."""

    @functools.wraps(command)
    def with_gateway(*args: P.args, **kwargs: P.kwargs) -> R:
        named = kwargs["gateway"]
        assert named is None or isinstance(named, str)
        kwargs["gateway"] = find_gateway(named, os.environ)
        return command(*args, **kwargs)

    decorated: Callable[..., R] = with_gateway
    decorated = click.option("--json", "as_json", is_flag=True, help="print the answer as JSON")(
        decorated
    )
    return click.option(
        "--gateway",
        metavar="URL",
        help=f"admin port; else ${GATEWAY_VARIABLE}, else the gateway that runs in this folder",
    )(decorated)


why_flag = click.option("--why", default="", metavar="TEXT", help="the reason, kept in the history")
yes_flag = click.option("--yes", "is_sure", is_flag=True, help="do not ask")
revision_flag = click.option(
    "--revision", type=click.IntRange(min=0), help="only if it still stands at this revision"
)
