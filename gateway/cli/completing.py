"""Names of routes and versions for the shell to complete, asked of the gateway that runs.

Every argument that is called `route`, `version`, `candidate` or `segment` is completed, whichever
command has it. Whoever waits for a Tab waits a moment only, and hears no complaint: a gateway that
is away, or does not tell, completes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import click
import msgspec
from click import shell_completion
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class

from gateway.cli.client import find_gateway
from gateway.errors import GraygateError

ROUTES = frozenset({"route"})
VERSIONS = frozenset({"version", "candidate", "stable"})
SEGMENTS = frozenset({"segment"})
WEIGHTS = frozenset({"wanted"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _Route(msgspec.Struct):
    stable: str = ""
    versions: dict[str, msgspec.Raw] = {}


class _Segments(msgspec.Struct):
    segments: dict[str, msgspec.Raw] = {}


def install() -> None:
    """Makes the shells' completion classes ask the gateway too."""
    for kind in (
        shell_completion.BashComplete, shell_completion.ZshComplete, shell_completion.FishComplete
    ):  # fmt: skip
        add_completion_class(_asking(kind), kind.name)


def _asking(kind: type[ShellComplete]) -> type[ShellComplete]:
    class Asking(kind):  # type: ignore[misc, valid-type]  # a class per shell
        def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
            known = super().get_completions(args, incomplete)
            return known or list(_dynamic(self, args, incomplete))

    return Asking


def _dynamic(
    completion: ShellComplete, args: list[str], incomplete: str
) -> Iterable[CompletionItem]:
    ctx = shell_completion._resolve_context(
        completion.cli, completion.ctx_args, completion.prog_name, args
    )
    parameter, incomplete = shell_completion._resolve_incomplete(ctx, args, incomplete)
    if not isinstance(parameter, click.Argument):
        return []
    try:
        names = _names(ctx, parameter.name or "")
    except (GraygateError, OSError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _names(ctx: click.Context, parameter: str) -> list[str]:
    named = ctx.params.get("gateway")
    gateway = find_gateway(named if isinstance(named, str) else None, os.environ)
    if parameter in ROUTES:
        return sorted(gateway.get("routes").read(dict[str, _Route]))
    if parameter in SEGMENTS:
        return sorted(gateway.get("segments").read(_Segments).segments)
    if parameter not in VERSIONS | WEIGHTS:
        return []
    route = ctx.params.get("route")
    if not isinstance(route, str) or not _NAME.fullmatch(route):
        return []
    held = gateway.get("routes", route).read(_Route)
    if parameter in WEIGHTS:
        return [f"{version}=" for version in held.versions if version != held.stable]
    return list(held.versions)
