from __future__ import annotations

import click
import pytest

from gateway import __version__
from gateway.cli.entry import COMMANDS, graygate
from gateway.cli.exits import MEANINGS
from gateway.compiled import build
from tests.cli.conftest import Run


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all commands, of groups and of what is in them."""
    context = click.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


ALL = commands(graygate)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_and_the_command_tell_the_same(name: str) -> None:
    command = COMMANDS[name].load()
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name].help


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_everywhere(run: Run, path: tuple[str, ...], flag: str) -> None:
    result = run(*path, flag)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(('graygate', *path))} ")
    assert result.stderr == ""


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
def test_an_unknown_option_is_one_sentence_everywhere(run: Run, path: tuple[str, ...]) -> None:
    result = run(*path, "--no-such-option")
    assert result.exit_code == 2
    assert result.stdout == ""
    told, hint = result.stderr.splitlines()
    assert told.startswith("graygate: No such option")
    assert hint == f"Try '{' '.join(('graygate', *path))} --help'."


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version").stdout == f"graygate {__version__}, {build()}\n"


def test_help_tells_the_exit_codes(run: Run) -> None:
    output = run("--help").stdout
    for code, meaning in MEANINGS.items():
        assert f"{code:>3}  {meaning}" in output


def test_without_a_command_the_help_is_shown_as_wrong_usage(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: graygate ")


def test_an_unknown_command_is_refused_with_a_suggestion(run: Run) -> None:
    result = run("confg")
    assert result.exit_code == 2
    assert result.stderr == (
        "graygate: there is no command 'confg'; did you mean config?\nTry 'graygate --help'.\n"
    )
