"""The one place where a command's end, good or bad, becomes output and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from gateway.cli.exits import ExitCode, exit_code_of
from gateway.cli.lazy import LazyGroup
from gateway.errors import GraygateError, SettingsError

NAME = "graygate"


class Program(LazyGroup):
    """The outermost group. A command returns None or an ExitCode, or raises one of our errors."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        if f"_{NAME.upper()}_COMPLETE" in os.environ:  # a shell asks, and nothing else is done
            from gateway.cli.completing import install

            install()
        options = {"prog_name": prog_name or NAME, "complete_var": complete_var, **extra}
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **options)
        sys.exit(self._run(args, options))

    def _run(self, args: Sequence[str] | None, options: dict[str, Any]) -> int:
        try:
            result = super().main(args, standalone_mode=False, **options)
            _flush()
        except BrokenPipeError:
            # Whoever read our output has had enough of it, as in `graygate config schema | head`.
            _give_up_output()
            return ExitCode.FAILED
        except BaseException as error:
            if isinstance(error, SystemExit):
                raise
            return _report(error)
        # Other commands may return what they like to those who call them from Python.
        return result if type(result) in (int, ExitCode) else ExitCode.OK


def _report(error: BaseException) -> ExitCode:
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, SettingsError):
        for problem in error.problems:
            _say(str(problem))
        return ExitCode.USAGE
    if isinstance(error, GraygateError):
        _say(str(error))
        return exit_code_of(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return ExitCode.USAGE
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else NAME
        _say(f"{error.format_message()}\nTry '{path} --help'.")
        return ExitCode.USAGE
    if isinstance(error, click.Abort):
        _say("stopped; nothing was done.")
        return ExitCode.FAILED
    if isinstance(error, click.ClickException):
        _say(error.format_message())
        return ExitCode.FAILED
    return _report_unexpected(error)


def _report_unexpected(error: BaseException) -> ExitCode:
    if os.environ.get("GRAYGATE_DEBUG", "0") not in ("", "0"):
        traceback.print_exception(error)
    # The message of an unknown error is not repeated: nobody knows what it carries. What the
    # operating system says is safe, and often all that one needs.
    said = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    kind = type(error).__name__
    _say(f"unexpected {kind}{said}; run with GRAYGATE_DEBUG=1 for the traceback.")
    return ExitCode.FAILED


def _say(text: str) -> None:
    click.echo(f"{NAME}: {text}", err=True)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _give_up_output() -> None:
    # What is still buffered would fail once more, loudly, when the interpreter ends.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
