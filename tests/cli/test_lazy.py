from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from gateway.cli.lazy import LazyCommand, LazyGroup

MODULE = "import click\n@click.command()\ndef greet():\n    click.echo('hello')\nvalue = 5\n"
NAME = "lazily_imported_by_a_test"


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    (tmp_path / f"{NAME}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    commands = {
        "zebra": LazyCommand("no_such_module:zebra", "Cannot be imported."),
        "greet": LazyCommand(f"{NAME}:greet", "Say hello."),
        "wrong": LazyCommand(f"{NAME}:value", "Is no command."),
    }
    return LazyGroup(name="tool", commands=commands)


def test_help_lists_the_commands_in_order_without_importing_them(group: LazyGroup) -> None:
    output = CliRunner().invoke(group, ["--help"]).output
    assert output.index("Cannot be imported.") < output.index("Say hello.")
    assert NAME not in sys.modules


def test_a_command_is_imported_when_it_is_run(group: LazyGroup) -> None:
    assert CliRunner().invoke(group, ["greet"]).output == "hello\n"
    assert NAME in sys.modules


def test_an_unknown_command_is_refused_with_a_suggestion(group: LazyGroup) -> None:
    result = CliRunner().invoke(group, ["gret"])
    assert result.exit_code == 2
    assert "there is no command 'gret'; did you mean greet?" in result.output
    assert NAME not in sys.modules


def test_an_unknown_option_is_refused_as_an_option(group: LazyGroup) -> None:
    result = CliRunner().invoke(group, ["--wrong"])
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_what_is_no_command_is_told_as_our_mistake(group: LazyGroup) -> None:
    result = CliRunner().invoke(group, ["wrong"])
    assert isinstance(result.exception, TypeError)
    assert str(result.exception) == f"{NAME}:value is no click command"


def test_completion_offers_the_names_without_importing_them(group: LazyGroup) -> None:
    offered = ShellComplete(group, {}, "tool", "_TOOL_COMPLETE").get_completions([], "")
    assert [(item.value, item.help) for item in offered] == [
        ("zebra", "Cannot be imported."),
        ("greet", "Say hello."),
        ("wrong", "Is no command."),
    ]
    started = ShellComplete(group, {}, "tool", "_TOOL_COMPLETE").get_completions([], "g")
    assert [item.value for item in started] == ["greet"]
    options = ShellComplete(group, {}, "tool", "_TOOL_COMPLETE").get_completions([], "--h")
    assert [item.value for item in options] == ["--help"]
    assert NAME not in sys.modules


def test_a_group_knows_no_command_that_is_not_in_its_table(group: LazyGroup) -> None:
    assert group.get_command(click.Context(group), "nothing") is None
