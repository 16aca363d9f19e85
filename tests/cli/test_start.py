"""The command as a process of its own: what it imports, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = str(Path(__file__).parents[2])
HEAVY = ("aiohttp", "hiredis", "redis", "uvloop", "prometheus_client", "asyncio")


def environment(**added: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRAYGATE_")}
    kept.pop("PYTHONUNBUFFERED", None)  # buffering is part of what is tested
    return kept | {"PYTHONPATH": REPOSITORY} | added


def graygate(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
    )


def modules_after(*arguments: str) -> set[str]:
    program = (
        "import sys\n"
        "from gateway.cli import main\n"
        f"sys.argv = ['graygate', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("config", "show"), ("--help",), ("--version",)])
def test_the_start_does_not_import_what_only_a_gateway_needs(arguments: tuple[str, ...]) -> None:
    modules = modules_after(*arguments)
    assert "gateway.cli.entry" in modules
    assert modules.isdisjoint(HEAVY)


def test_help_imports_no_command() -> None:
    from gateway.cli.entry import COMMANDS

    homes = {lazy.target.partition(":")[0] for lazy in COMMANDS.values()}
    assert modules_after("--help").isdisjoint(homes)


def test_settings_are_shown_and_refused_by_the_process() -> None:
    shown = graygate("config", "show", GRAYGATE_LISTEN__PORT="90")
    assert shown.returncode == 0
    assert "env GRAYGATE_LISTEN__PORT" in shown.stdout
    refused = graygate("config", "show", GRAYGATE_LISTEN__PORT="x")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "graygate: GRAYGATE_LISTEN__PORT: must be a whole number from 0 to 65535, not 'x'\n"
    )


def test_a_reader_that_goes_early_hears_nothing_and_no_traceback_follows() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "config", "schema"],
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_told_in_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "config", "schema"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "graygate: unexpected OSError (No space left on device); "
        "run with GRAYGATE_DEBUG=1 for the traceback.\n"
    )


def test_bash_is_answered_with_completions() -> None:
    done = graygate(_GRAYGATE_COMPLETE="bash_complete", COMP_WORDS="graygate con", COMP_CWORD="1")
    assert done.stdout == "plain,config\n"


PRINTING = """
import click
from gateway.cli.lazy import LazyCommand
from gateway.cli.program import Program
class Printing(LazyCommand):
    def load(self):
        return click.Command("print", callback=lambda: print("short"))
Program(name="graygate", commands={"print": Printing("", "")}).main(["print"])
"""


def test_output_that_is_still_buffered_at_the_end_fails_as_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PRINTING],
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
