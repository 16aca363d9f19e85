"""The place of one child, with processes that do as little as possible."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from gateway.config.settings import Settings
from gateway.process import children
from gateway.process.children import Child
from gateway.process.handover import WorkerBoot
from gateway.process.slots import Slot
from tests.process.harness import wait_until

BOOT = WorkerBoot(settings=Settings(), index=0, channel_path="/c", data_fd=0)
# Says what it is told to on its lifeline, and waits for the end of it.
TALKER = """
import socket, sys
end = socket.socket(fileno=int(sys.argv[-1]))
end.sendall(sys.argv[1].encode())
while end.recv(65536): pass
"""
DIES = "raise SystemExit(3)"


def starts(code: str, *words: str) -> Slot:
    def start() -> Child:
        command = (sys.executable, "-c", code, *words)
        return children.start("worker 0", command, BOOT, (), lambda: 100.0)

    return Slot("worker 0", start)


@pytest.fixture
def talker() -> Iterator[Slot]:
    slot = starts(TALKER, "alive\nready\n")
    slot.fill(100.0)
    assert slot.child is not None
    yield slot
    if slot.child is not None:
        slot.child.kill()
        slot.child.wait()
        slot.child.close()


def hear(slot: Slot, now: float) -> Child:
    child = slot.child
    assert child is not None

    def is_ready() -> bool:
        child.hear(now)
        return child.ready_at is not None

    wait_until(is_ready, "it is ready")
    return child


def test_a_child_is_sound_when_it_is_ready_and_speaks_now_and_then(talker: Slot) -> None:
    assert not talker.is_sound(100.0, 10.0)
    hear(talker, 101.0)
    assert talker.is_sound(110.0, 10.0)
    assert not talker.is_sound(111.0, 10.0)


def test_a_silent_child_is_ended_and_counts_as_dead(
    talker: Slot, caplog: pytest.LogCaptureFixture
) -> None:
    child = hear(talker, 101.0)
    assert talker.watch_at(30.0) == 131.0
    talker.watch(130.0, 30.0)
    assert child.kill_at is None
    with caplog.at_level(logging.ERROR):
        talker.watch(131.0, 30.0)
    assert "has given no sign of life for 30 s" in caplog.text
    assert talker.watch_at(30.0) is None
    wait_until(lambda: child.exit_code is not None, "it has ended")
    assert child.ending == "was ended by SIGABRT"
    talker.reap(132.0)
    assert talker.restarts == 1
    assert talker.start_at is not None


def test_a_child_that_does_not_even_heed_the_signal_is_killed(talker: Slot) -> None:
    child = hear(talker, 101.0)
    child._process.send_signal(19)  # stopped, it heeds nothing but SIGKILL
    talker.watch(131.0, 30.0)
    child.kill_if_overdue(132.0)
    assert child.exit_code is None
    child.kill_if_overdue(133.0)
    child.wait()
    talker.reap(133.0)
    assert talker.restarts == 1


def test_silence_is_no_reason_when_it_is_switched_off(talker: Slot) -> None:
    child = hear(talker, 101.0)
    assert talker.watch_at(0.0) is None
    talker.watch(10_000.0, 0.0)
    assert child.kill_at is None


def test_a_child_that_was_told_to_end_is_no_restart(talker: Slot) -> None:
    child = hear(talker, 101.0)
    talker.end_and_refill(102.0)
    wait_until(lambda: child.exit_code is not None, "it has ended")
    talker.reap(103.0)
    assert (talker.restarts, talker.start_at) == (0, 103.0)


def test_what_does_nothing_but_die_is_tried_slowly_until_one_works(
    talker: Slot, caplog: pytest.LogCaptureFixture
) -> None:
    slot, now, delays = starts(DIES), 0.0, []
    for _ in range(7):
        slot.fill(now)
        child = slot.child
        assert child is not None
        child.wait()
        slot.reap(now)
        assert slot.start_at is not None
        delays.append(round(slot.start_at - now, 3))
        now = slot.start_at
    assert delays == [0.0, 0.2, 0.4, 0.8, 10.0, 10.0, 10.0]
    assert slot.is_looping
    assert slot.restarts == 7
    assert caplog.text.count("again and again") == 1
    slot.put(hear(talker, now))
    assert slot.watch_at(0.0) == now + 10.0
    loops = []
    for moment in (now + 9.0, now + 10.0):
        slot.watch(moment, 0.0)
        loops.append(slot.is_looping)
    assert loops == [True, False]
    assert slot.watch_at(0.0) is None


def test_more_than_fits_into_the_lifeline_arrives_when_the_child_reads_on() -> None:
    code = """
import socket, sys
end = socket.socket(fileno=int(sys.argv[-1]))
length = int.from_bytes(end.recv(4), "big")
while length: length -= len(end.recv(length))
end.sendall(b"ready\\n")
end.recv(1, socket.MSG_PEEK)
heard = b""
while heard.count(b"\\n") < 200: heard += end.recv(65536)
sys.exit(heard != b"".join(b"%d" % n + b"x" * 1000 + b"\\n" for n in range(200)))
"""
    slot = starts(code)
    slot.fill(0.0)
    child = hear(slot, 1.0)
    for number in range(200):
        child.say(f"{number}{'x' * 1000}")

    def has_ended() -> bool:
        child.hear(2.0)
        return child.exit_code is not None

    wait_until(has_ended, "it has read all")
    assert child.exit_code == 0
    child.close()
