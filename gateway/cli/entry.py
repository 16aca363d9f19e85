"""The command `graygate`: its commands, and where each of them lives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from gateway import __version__
from gateway.cli.exits import MEANINGS
from gateway.cli.lazy import LazyCommand
from gateway.cli.program import NAME, Program

# To add a command: one line here, and a click command of that name in the module. A test sees to
# it that the module is there and that both tell the same in the help.
COMMANDS: Mapping[str, LazyCommand] = MappingProxyType(
    {
        "config": LazyCommand(
            "gateway.cli.config:config", "Check, show and describe the start-up settings."
        ),
        "completion": LazyCommand(
            "gateway.cli.completion:completion", "Print the completion script of a shell."
        ),
    }
)

_EXIT_CODES = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())

graygate = Program(
    name=NAME,
    commands=COMMANDS,
    help=f"Gray-release gateway for AI models.\n\n\b\nExit codes:\n{_EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, prog_name=NAME, message="%(prog)s %(version)s")(graygate)


def main() -> None:
    """Runs the command line of this process and ends it with an exit code."""
    graygate.main()
