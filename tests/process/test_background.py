"""A stream in the background writes everything, or drops what it cannot, and never waits."""

from __future__ import annotations

import os

from gateway.process.background import BackgroundStream


def test_what_was_written_is_out_when_it_has_ended() -> None:
    theirs, ours = os.pipe()
    stream = BackgroundStream(ours)
    for number in range(100):
        stream.write(f"{number} é \ud800\n")
    stream.flush()
    stream.end()
    os.close(ours)
    text = os.read(theirs, 65536).decode()
    os.close(theirs)
    assert text == "".join(f"{number} é \\ud800\n" for number in range(100))
    assert stream.take_lost() == 0
    assert repr(stream) == "<BackgroundStream, 0 pieces wait>"


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    theirs, ours = os.pipe()
    stream = BackgroundStream(ours)
    for _ in range(5000):
        stream.write("x" * 999 + "\n")
    lost = stream.take_lost()
    assert lost > 0
    assert stream.take_lost() == 0
    os.set_blocking(theirs, False)
    received = 0
    while received < (5000 - lost) * 1000:
        try:
            received += len(os.read(theirs, 65536))
        except BlockingIOError:
            continue
    stream.end()
    os.close(ours)
    os.close(theirs)
    assert received == (5000 - lost) * 1000


def test_a_descriptor_that_is_made_non_blocking_loses_nothing() -> None:
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    stream = BackgroundStream(ours)
    for _ in range(200):
        stream.write("y" * 999 + "\n")
    received = 0
    while received < 200_000:
        received += len(os.read(theirs, 65536))
    stream.end()
    os.close(ours)
    os.close(theirs)


def test_after_a_broken_pipe_it_writes_into_nothing() -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    stream = BackgroundStream(ours)
    stream.write("one\n")
    stream.write("two\n")
    stream.end()
    assert os.write(ours, b"three\n") == 6  # it is /dev/null now
    os.close(ours)
