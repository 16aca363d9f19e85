"""Ratios are measured with a Python as people run it, where one is at hand."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from loadtests.interpreter import chosen, is_optimised, lacks


def python_that_says(folder: Path, name: str, text: str) -> str:
    """Stands for an interpreter: it answers with this when it is asked what it lacks."""
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return str(program)


def test_the_own_interpreter_is_taken_when_it_lacks_nothing(tmp_path: Path) -> None:
    own, other = (python_that_says(tmp_path, name, "") for name in ("own", "other"))
    assert chosen(own, (other,)) == own


def test_an_interpreter_that_nobody_would_run_gives_way_to_the_system_s(tmp_path: Path) -> None:
    own = python_that_says(tmp_path, "own", "was built without --enable-optimizations")
    other = python_that_says(tmp_path, "other", "")
    assert chosen(own, (str(tmp_path / "absent"), other)) == other


def test_where_there_is_no_other_it_is_said_what_is_wrong_with_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = python_that_says(tmp_path, "own", "was built without --enable-optimizations")
    other = python_that_says(tmp_path, "other", "has no C headers to compile with")
    assert chosen(own, (other,)) == own
    assert capsys.readouterr().err == (
        f"Measured with {own} all the same: {own} was built without --enable-optimizations; "
        f"{other} has no C headers to compile with.\n"
    )


def test_the_script_prints_an_interpreter_that_starts() -> None:
    script = str(Path(lacks.__code__.co_filename))
    told = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True
    )
    version = "import sys; print(sys.version_info >= (3, 11))"
    python = told.stdout.strip()
    asked = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True)
    assert asked.stdout == "True\n"


@pytest.mark.parametrize(
    ("arguments", "schemes", "expected"),
    [
        ("'--enable-shared' '--enable-optimizations' '--with-lto'", ("posix_prefix",), True),
        ("'--prefix=/opt/python' '--enable-shared'", ("posix_prefix",), False),
        ("'--prefix=/usr' '--enable-shared'", ("deb_system", "posix_prefix"), True),
        (None, ("nt",), True),
    ],
    ids=["asked for", "built by hand", "Debian's", "says nothing"],
)
def test_how_an_interpreter_was_built_is_read_from_what_it_tells(
    monkeypatch: pytest.MonkeyPatch,
    arguments: str | None,
    schemes: tuple[str, ...],
    expected: bool,
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: arguments)
    monkeypatch.setattr(sysconfig, "get_scheme_names", lambda: schemes)
    assert is_optimised() is expected
