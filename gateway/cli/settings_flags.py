"""The flags of every command that needs the start-up settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from gateway.config.catalog import catalog
from gateway.config.flags import Flag
from gateway.config.load import Loaded, load

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """Where the command line says the settings are; may be loaded again, as SIGHUP does."""

    path: Path | None
    flags: Mapping[str, Flag]

    def load(self, environ: Mapping[str, str] | None = None) -> Loaded:
        """Reads file, environment and flags; SettingsError with every problem."""
        return load(self.path, os.environ if environ is None else environ, self.flags)


# The settings that people change most, by flag: setting, placeholder and what it is.
_SHORT_FLAGS = {
    "port": ("listen.port", "PORT"),
    "admin_port": ("admin.port", "PORT"),
    "workers": ("process.workers", "N|auto"),
    "redis": ("redis.url", "URL"),
}


def settings_flags(command: Callable[P, R]) -> Callable[..., R]:
    """Gives a command --config, --set and the short flags; it receives them as `source`."""

    @functools.wraps(command)
    def with_source(*args: P.args, **kwargs: P.kwargs) -> R:
        kwargs["source"] = _source(kwargs)
        return command(*args, **kwargs)

    decorated: Callable[..., R] = with_source
    for parameter, (key, metavar) in reversed(_SHORT_FLAGS.items()):
        flag = f"--{parameter.replace('_', '-')}"
        decorated = click.option(flag, metavar=metavar, help=catalog()[key].help)(decorated)
    decorated = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        callback=_assignments,
        shell_complete=_complete_key,
        help="any setting, as in --set log.level=debug; may be repeated",
    )(decorated)
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="settings file; else $GRAYGATE_CONFIG, else config/gateway.toml",
    )(decorated)


def _source(parameters: dict[str, object]) -> SettingsSource:
    """Takes the parameters that `settings_flags` added out of those of the command."""
    path = parameters.pop("config")
    assignments = parameters.pop("assignments")
    assert path is None or isinstance(path, Path)
    assert isinstance(assignments, dict)
    flags: dict[str, Flag] = {}
    for parameter, (key, _) in _SHORT_FLAGS.items():
        value = parameters.pop(parameter)
        if value is not None:
            flags[key] = Flag(f"--{parameter.replace('_', '-')}", value)
    for key, value in assignments.items():
        flag = Flag(f"--set {key}", value)
        if key in flags:
            raise click.UsageError(f"{key} is given twice: {flags[key].name}, {flag.name}")
        flags[key] = flag
    return SettingsSource(path, flags)


def _assignments(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    # A callback, because click runs these before it complains of left-over arguments and repeats
    # them: the value in `--set redis.password VALUE` must not be shown.
    assignments: dict[str, str] = {}
    for assignment in given:
        key, value = _split(assignment)
        if key in assignments:
            raise click.UsageError(f"--set {key} is given twice; keep one of them", ctx)
        assignments[key] = value
    return assignments


def _split(assignment: str) -> tuple[str, str]:
    key, equals, value = assignment.partition("=")
    if not equals:
        # Not repeated: it may be the value of a secret, torn off by a blank.
        raise click.UsageError("--set takes section.key=value, as in --set log.level=debug")
    setting = catalog().get(key)
    if setting is not None and setting.is_secret:
        raise click.UsageError(
            f"{key} is a secret, and every user of this machine can read a command line; "
            f"use {setting.variables[0]} or {setting.variables[1]}, or --set {setting.keys[1]}=PATH"
        )
    return key, value


def _complete_key(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(f"{setting.keys[-1]}=", help=setting.help)
        for setting in catalog().values()
        if setting.keys[-1].startswith(incomplete)
    ]
