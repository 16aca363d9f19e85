from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo.child import Child, python_module, tethered
from tests.demo.processes import is_alive, wait_gone
from tests.servers import wait_until

STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "own = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "print(own.pid, flush=True)\n"
    "while True: signal.pause()\n"
)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child("x", tmp_path / "x.log")
    yield child
    child.stop(0)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_ended(child: Child) -> None:
    wait_until(lambda: not child.is_running, f"{child!r} ends")


def test_what_it_writes_is_in_its_log_and_the_last_line_is_at_hand(child: Child) -> None:
    child.start(python("import sys; print('one'); print('two', file=sys.stderr)"))
    wait_ended(child)
    assert sorted(child.tail().splitlines()) == ["one", "two"]
    assert child.last_words() in ("one", "two")


def test_only_the_end_of_a_long_log_is_read(child: Child) -> None:
    child.start(python("print('x' * 100_000); print('end')"))
    wait_ended(child)
    assert child.last_words() == "end"
    assert len(child.tail()) < 5_000


def test_the_log_of_the_run_before_is_kept(child: Child) -> None:
    for word in ("first", "second"):
        child.start(python(f"print({word!r})"))
        wait_ended(child)
    assert child.last_words() == "second"
    assert child.log.with_name("x.log.1").read_text() == "first\n"


def test_one_that_was_never_started_is_silent(child: Child) -> None:
    child.stop()
    assert (child.last_words(), child.pid, child.is_running) == ("", None, False)
    assert repr(child) == "<Child x: not running>"


def test_it_is_not_started_twice(child: Child) -> None:
    child.start(python("import signal; signal.pause()"))
    assert repr(child) == f"<Child x: running, pid {child.pid}>"
    with pytest.raises(RuntimeError, match="cannot be started twice"):
        child.start(python(""))


def test_one_that_does_not_listen_is_killed_with_all_it_had_started(child: Child) -> None:
    child.start(python(STUBBORN))
    wait_until(lambda: child.last_words().isdigit(), "it has started a process of its own")
    pid, grandchild = child.pid, int(child.last_words())
    assert pid is not None
    child.stop(grace_seconds=0.05)
    assert not is_alive(pid)
    wait_gone(grandchild)


def test_it_has_the_folder_and_the_descriptors_that_it_was_given(
    child: Child, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    try:
        child.start(
            python(f"import os; os.write({writing}, os.getcwdb())"),
            directory=tmp_path,
            descriptors=[writing],
        )
        assert os.read(reading, 1000) == os.fsencode(tmp_path)
    finally:
        os.close(reading)
        os.close(writing)
    wait_ended(child)


def test_a_module_of_ours_is_not_mixed_up_with_files_that_lie_around(
    child: Child, tmp_path: Path
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('this is not the random you want')")
    child.start(python_module("gateway.demo.traffic", "--help"), directory=tmp_path)
    wait_ended(child)
    assert "usage: python -m gateway.demo.traffic" in child.tail()


def test_a_foreign_program_keeps_its_arguments_and_its_pid(child: Child) -> None:
    child.start(tethered("/bin/sh", "-c", 'echo "$$" "$0" "$1"', "a b", ""))
    pid = child.pid
    wait_ended(child)
    assert child.tail() == f"{pid} a b"


def test_a_signal_to_our_group_does_not_reach_it(child: Child) -> None:
    child.start(python("import signal; signal.pause()"))
    assert child.pid is not None
    assert os.getpgid(child.pid) != os.getpgid(0)
    os.kill(child.pid, signal.SIGTERM)
    wait_ended(child)
