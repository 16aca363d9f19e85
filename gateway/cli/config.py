"""`graygate config`: check, show and describe the start-up settings."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.exits import ExitCode
from gateway.cli.settings_flags import SettingsSource, settings_flags
from gateway.config.describe import show as effective_settings
from gateway.config.schema import settings_schema
from gateway.errors import SettingsError

json_flag = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.group()
def config() -> None:
    """Check, show and describe the start-up settings."""


@config.command()
@settings_flags
@json_flag
def check(source: SettingsSource, as_json: bool) -> ExitCode:
    """Tell everything that is wrong with the settings."""
    try:
        loaded = source.load()
    except SettingsError as error:
        if not as_json:
            raise
        problems = [{"where": problem.where, "what": problem.what} for problem in error.problems]
        _print_json({"ok": False, "problems": problems})
        return ExitCode.USAGE
    if as_json:
        file = str(loaded.file) if loaded.file else None
        _print_json({"ok": True, "file": file, "problems": []})
    else:
        click.echo(f"{loaded.file or 'defaults (no settings file)'}: ok")
    return ExitCode.OK


@config.command()
@settings_flags
@json_flag
def show(source: SettingsSource, as_json: bool) -> None:
    """Show every setting in force and where it comes from; secrets are masked."""
    effective = effective_settings(source.load())
    if as_json:
        _print_json({row.key: {"value": row.value, "origin": row.origin} for row in effective})
        return
    key_width = max(len(row.key) for row in effective)
    text_width = max(len(row.text) for row in effective)
    for row in effective:
        click.echo(f"{row.key:<{key_width}}  {row.text:<{text_width}}  {row.origin}")


@config.command()
def schema() -> None:
    """Print the JSON Schema of the settings file."""
    _print_json(settings_schema())


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
