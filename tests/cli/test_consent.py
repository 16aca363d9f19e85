"""Commands that ask, in a process with a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.live import Live

CTRL_C = b"\x03"
REPOSITORY = str(Path(__file__).parents[2])


def answered(up: Live, answer: bytes, *arguments: str) -> tuple[int, str]:
    """The exit code of a command to whose question `answer` is typed, and all that was seen."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *arguments],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, "PYTHONPATH": REPOSITORY, "GRAYGATE_GATEWAY": up.url, "TERM": "dumb"},
    )  # fmt: skip
    os.close(slave)
    seen = b""
    try:
        deadline = time.monotonic() + 20
        while b"[y/N]: " not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 4096)
        if answer == CTRL_C:
            code = _interrupted(process)
        else:
            os.write(master, answer)
            code = process.wait(20)
        while select.select([master], [], [], 0)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:
                break
        return code, seen.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _interrupted(process: subprocess.Popen[bytes]) -> int:
    """A Ctrl-C between the question and the reading of the answer is lost: Python's input() waits
    on, and a person presses it again."""
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(1)
    raise AssertionError("Ctrl-C does not end it")


def test_yes_does_it(up: Live) -> None:
    code, seen = answered(up, b"y\n", "route", "delete", "chat")
    assert code == 0
    assert "Delete route chat? Requests will not find it any more. [y/N]: " in seen
    assert "chat: deleted, revision 2;" in seen


@pytest.mark.parametrize(
    "arguments", [("route", "delete", "chat"), ("rollback", "chat", "--to", "1"), ("repopulate",)]
)
def test_anything_else_does_nothing(up: Live, arguments: tuple[str, ...]) -> None:
    code, seen = answered(up, b"\n", *arguments)
    assert code == 1
    assert seen.endswith("graygate: stopped; nothing was done.\n")
    assert up.held() is not None


def test_ctrl_c_at_the_question_is_130(up: Live) -> None:
    code, _ = answered(up, CTRL_C, "route", "delete", "chat")
    assert code == 130
    assert up.held() is not None
