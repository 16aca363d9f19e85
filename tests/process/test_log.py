"""What the gateway writes about itself."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gateway.config.settings import Log
from gateway.process.log import JsonLines, RepeatFilter, TextLines, configure, printable


def record(message: str, *args: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("graygate", level, __file__, 1, message, args, None)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_one_event_is_one_json_line_with_time_level_process_and_message() -> None:
    event = json.loads(JsonLines("worker 1").format(record("held %d routes", 3)))
    assert event["level"] == "warning"
    assert event["process"] == "worker 1"
    assert event["message"] == "held 3 routes"
    assert event["ts"].endswith("Z") and "T" in event["ts"]


@pytest.mark.parametrize(
    "nasty", ["a\nb", "a\r\nb", "\x1b[2Jb", "\u202eevil", "\x85", "\u2028", "\x7f"]
)
def test_nothing_from_outside_starts_a_line_or_moves_a_terminal(nasty: str) -> None:
    for formatter in (JsonLines("control"), TextLines("control")):
        line = formatter.format(record("got %s", nasty))
        assert len(line.splitlines()) == 1
        assert printable(line) == line
        assert all(letter.isprintable() for letter in line)


def test_json_gives_back_what_was_logged() -> None:
    message = json.loads(JsonLines("control").format(record("%s", 'a"\n\x1bé')))["message"]
    assert message == 'a"\n\x1bé'


def test_a_long_message_is_cut() -> None:
    event = json.loads(JsonLines("control").format(record("x" * 100_000)))
    assert len(event["message"]) < 5000


def test_a_traceback_stays_on_the_line_of_its_event() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    assert len(TextLines("control").format(failed).splitlines()) == 1
    assert "ValueError" in json.loads(JsonLines("control").format(failed))["trace"]


def test_the_same_message_is_written_once_in_ten_seconds_and_then_with_its_number() -> None:
    now = [100.0]
    repeats = RepeatFilter(lambda: now[0])
    assert repeats.filter(record("the store is away"))
    for _ in range(50):
        now[0] += 0.1
        assert not repeats.filter(record("the store is away"))
    assert repeats.filter(record("something else"))
    now[0] += 6.0
    again = record("the store is away")
    assert repeats.filter(again)
    assert json.loads(JsonLines("control").format(again))["repeated"] == 50
    assert "50 times" in TextLines("control").format(again)


def test_ever_new_messages_do_not_fill_the_memory() -> None:
    repeats = RepeatFilter(lambda: 100.0)
    for number in range(10_000):
        assert repeats.filter(record("request %d", number))
    assert len(repeats._seen) <= 256


def test_auto_is_json_where_nobody_looks(root: logging.Logger) -> None:
    out = io.StringIO()
    configure(Log(), "supervisor", out)
    root.info("hello")
    root.debug("not this")
    assert json.loads(out.getvalue())["message"] == "hello"


def test_a_log_that_nobody_reads_any_more_ends_nothing() -> None:
    code = """
import logging, os, sys
from gateway.config.settings import Log
from gateway.process.log import configure
configure(Log(), "supervisor")
sys.stdin.read()
logging.error("into a broken pipe")
logging.error("and another one")
print("alive")
"""
    pipe, ours = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=ours,
        env={"PATH": os.environ["PATH"]},  # without PYTHONUNBUFFERED
    )
    os.close(ours)
    os.close(pipe)
    assert child.communicate(timeout=20)[0] == b"alive\n"
    assert child.returncode == 0


def test_text_and_level_are_as_set_and_the_last_call_counts(root: logging.Logger) -> None:
    first, out = io.StringIO(), io.StringIO()
    configure(Log(), "supervisor", first)
    configure(Log(format="text", level="error"), "worker 0", out)
    root.warning("not this")
    root.error("this")
    assert first.getvalue() == ""
    assert out.getvalue().endswith("error   worker 0: this\n")
