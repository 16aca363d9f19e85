"""What the gateway writes about itself."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import pytest

from gateway.config.log_text import Redactor
from gateway.config.secret import Secret
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
        repeats.filter(record("request %d", number))
    assert len(repeats._seen) <= 256
    assert len(repeats._kinds) == 1


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


def test_messages_of_one_kind_are_summed_up_when_they_are_too_many() -> None:
    now = [100.0]
    repeats = RepeatFilter(lambda: now[0])
    passed = sum(repeats.filter(record("route %d failed", number)) for number in range(80))
    assert passed == 50
    assert repeats.filter(record_of_another_place())
    assert repeats.due() == []
    now[0] += 10.0
    (summary,) = repeats.due()
    assert summary.getMessage() == "30 more messages of this kind were left out: route %d failed"
    assert repeats.due() == []
    assert repeats.filter(record("route %d failed", 1000))


def record_of_another_place() -> logging.LogRecord:
    return logging.LogRecord("graygate", logging.WARNING, "other.py", 7, "route %d", (1,), None)


def test_few_messages_of_a_kind_for_ever_are_all_written() -> None:
    now = [100.0]
    repeats = RepeatFilter(lambda: now[0])
    for number in range(500):
        now[0] += 1.0
        assert repeats.filter(record("number %d", number))


def test_the_sum_is_written_before_the_next_event_or_at_the_end(root: logging.Logger) -> None:
    out = io.StringIO()
    configure(Log(), "control", out)
    for number in range(70):
        root.warning("number %d", number)
    configure(Log(), "control", io.StringIO())  # the end of the first
    last = json.loads(out.getvalue().splitlines()[-1])
    assert last["message"] == "20 more messages of this kind were left out: number %d"
    assert len(out.getvalue().splitlines()) == 51


@pytest.mark.parametrize("form", ["text", "json"])
def test_A14_no_secret_gets_into_a_line_or_a_traceback(
    root: logging.Logger, form: Literal["text", "json"]
) -> None:
    out = io.StringIO()
    configure(Log(format=form), "worker 0", out, secrets=[Secret("hunter2 it is")])
    root.warning("cannot reach redis://:%s@host", "canary-5ecret")
    root.warning("headers were %r", {"Authorization": "Bearer canary-5ecret"})
    root.warning("the password %s does not fit", "hunter2 it is")
    try:
        raise ValueError("hunter2 it is", "x-api-key: canary-5ecret")
    except ValueError:
        root.exception("it failed")
    assert len(out.getvalue().splitlines()) == 4
    assert "hunter2" not in out.getvalue() and "canary-5ecret" not in out.getvalue()
    assert "ValueError" in out.getvalue()


def test_A14_a_secret_at_the_place_where_a_message_is_cut_is_hidden_as_a_whole() -> None:
    lines = JsonLines("control", Redactor([Secret("hunter2hunter2")]))
    for length in range(4080, 4100):
        assert "hunter2" not in lines.format(record("x" * length + "hunter2hunter2"))


def test_a_log_that_nobody_reads_makes_nobody_wait() -> None:
    code = """
import logging, sys
from gateway.config.settings import Log
from gateway.process.log import configure
configure(Log(), "worker 0")
for number in range(3000):
    logging.getLogger(f"n{number}").handle(
        logging.LogRecord("n", logging.ERROR, f"{number}.py", 1, "x" * 2000 + "%d", (number,), None)
    )
print("alive", flush=True)
sys.stdin.read()
logging.error("and now somebody reads")
"""
    theirs, ours = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=ours
    )
    os.close(ours)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == b"alive\n"  # with most of it still to be written
    received = bytearray()
    child.stdin.close()
    while data := os.read(theirs, 65536):
        received += data
    assert child.wait(20) == 0
    child.stdout.close()
    os.close(theirs)
    messages = [json.loads(line)["message"] for line in received.splitlines()]
    assert any("messages were lost: nobody read them." in message for message in messages[-2:])
    assert 900 < len(messages) < 3000
