from __future__ import annotations

import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from gateway.cli.exits import ExitCode
from gateway.cli.lazy import LazyCommand
from gateway.cli.program import Program
from gateway.errors import ConflictError, Problem, RefusedError, SettingsError, StoreUnavailable


def ending(end: Callable[[], object], env: dict[str, str] | None = None) -> Result:
    """Runs a program with one command, which ends as `end` does."""

    class Ended(LazyCommand):
        def load(self) -> click.Command:
            return click.Command("end", callback=end)

    program = Program(name="graygate", commands={"end": Ended("", "End.")})
    return CliRunner().invoke(program, ["end"], env=env)


def raising(error: BaseException) -> Callable[[], object]:
    def end() -> object:
        raise error

    return end


@pytest.mark.parametrize(
    ("returned", "code"),
    [(None, 0), (ExitCode.OK, 0), (ExitCode.CONFLICT, 4), ("text", 0), (True, 0)],
)
def test_a_command_ends_with_the_exit_code_it_returns(returned: object, code: int) -> None:
    result = ending(lambda: returned)
    assert result.exit_code == code
    assert result.output == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("v9 is no version of chat."), 1),
        (StoreUnavailable("no answer from the store."), 3),
        (ConflictError("chat has changed."), 4),
    ],
)
def test_an_error_of_ours_is_one_sentence_and_its_exit_code(error: Exception, code: int) -> None:
    result = ending(raising(error))
    assert result.exit_code == code
    assert result.stderr == f"graygate: {error}\n"
    assert result.stdout == ""


def test_wrong_settings_are_told_one_problem_a_line() -> None:
    result = ending(raising(SettingsError((Problem("a", "is wrong"), Problem("b", "as well")))))
    assert result.exit_code == 2
    assert result.stderr == "graygate: a: is wrong\ngraygate: b: as well\n"


def test_wrong_usage_is_one_sentence_and_where_to_look() -> None:
    program = Program(name="graygate", commands={})
    result = CliRunner().invoke(program, ["nothing"])
    assert result.exit_code == 2
    assert result.stderr == "graygate: there is no command 'nothing'.\nTry 'graygate --help'.\n"


def test_wrong_usage_raised_without_a_context_is_told_as_well() -> None:
    result = ending(raising(click.UsageError("that is not how.")))
    assert result.exit_code == 2
    assert result.stderr == "graygate: that is not how.\nTry 'graygate end --help'.\n"


def test_another_error_of_click_is_one_sentence() -> None:
    result = ending(raising(click.ClickException("no such thing.")))
    assert result.exit_code == 1
    assert result.stderr == "graygate: no such thing.\n"


def test_an_unexpected_error_is_told_by_its_type_alone() -> None:
    result = ending(raising(ValueError("hunter2")))
    assert result.exit_code == 1
    assert result.stderr == (
        "graygate: unexpected ValueError; run with GRAYGATE_DEBUG=1 for the traceback.\n"
    )


def test_what_the_operating_system_said_is_told() -> None:
    result = ending(raising(OSError(28, "No space left on device")))
    assert "unexpected OSError (No space left on device);" in result.stderr


def test_the_traceback_is_shown_on_demand() -> None:
    result = ending(raising(ValueError("detail")), env={"GRAYGATE_DEBUG": "1"})
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "ValueError: detail" in result.stderr
    quiet = ending(raising(ValueError("detail")), env={"GRAYGATE_DEBUG": "0"})
    assert "Traceback" not in quiet.stderr


def test_ctrl_c_is_silent_and_130() -> None:
    result = ending(raising(KeyboardInterrupt()))
    assert result.exit_code == 130
    assert result.output.strip() == ""


def test_a_question_answered_with_no_stops_the_command() -> None:
    result = ending(raising(click.Abort()))
    assert result.exit_code == 1
    assert result.stderr == "graygate: stopped; nothing was done.\n"


def test_a_reader_that_has_gone_is_no_error_to_tell() -> None:
    result = ending(raising(BrokenPipeError(32, "Broken pipe")))
    assert result.exit_code == 1
    assert result.output == ""


def test_a_command_may_end_the_process_itself() -> None:
    assert ending(raising(SystemExit(7))).exit_code == 7
    assert ending(lambda: click.get_current_context().exit(3)).exit_code == 3


@pytest.mark.parametrize(("value", "colour"), [("1", False), ("", None)])
def test_no_color_is_honoured(value: str, colour: bool | None) -> None:
    seen: list[bool | None] = []
    ending(lambda: seen.append(click.get_current_context().color), env={"NO_COLOR": value})
    assert seen == [colour]


def test_it_can_be_called_as_a_function_without_ending_the_process() -> None:
    program = Program(name="graygate", commands={})
    with pytest.raises(click.UsageError):
        program.main(["nothing"], standalone_mode=False)
    assert "pytest" in sys.modules
