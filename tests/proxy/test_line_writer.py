"""Lines get out whole, in order, to where they belong now; nobody waits for who reads them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.proxy import line_writer
from gateway.proxy.line_writer import LONGEST_LINE, MOST_BYTES, LineWriter, pieces, target_of


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def put(writer: LineWriter, *lines: str) -> None:
    writer.put("".join(f"{line}\n" for line in lines).encode(), len(lines))


def ended(writer: LineWriter) -> None:
    writer.end()
    wait_until(lambda: writer.is_ended, "the thread ends")


def test_lines_are_in_the_file_when_the_writer_has_ended(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "log")
    writer.start()
    put(writer, "one", "two")
    put(writer, "three")
    ended(writer)
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"
    assert writer.dropped == 0
    assert repr(writer) == f"<LineWriter to {tmp_path / 'log'}, 0 bytes wait, 0 lines dropped>"


def test_what_is_in_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    writer = LineWriter(tmp_path / "log")
    writer.start()
    put(writer, "after")
    ended(writer)
    assert (tmp_path / "log").read_text() == "before\nafter\n"


@pytest.mark.parametrize("then", ["", "removed", "another is there"])
def test_a_file_that_was_moved_away_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(line_writer, "_LOOK_SECONDS", 0.0)
    log, moved = tmp_path / "log", tmp_path / "log.1"
    writer = LineWriter(log)
    writer.start()
    put(writer, "one")
    wait_until(lambda: log.exists() and log.read_text() == "one\n", "the first line is there")
    log.rename(moved)
    if then == "removed":
        moved.unlink()
    elif then:
        log.touch()
    put(writer, "two")
    wait_until(lambda: log.exists() and log.read_text() == "two\n", "the second line is there")
    ended(writer)
    assert then == "removed" or moved.read_text() == "one\n"


def test_a_file_that_cannot_be_had_loses_lines_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "away"
    writer = LineWriter(folder / "log")
    writer.start()
    put(writer, "one", "two")
    wait_until(lambda: writer.dropped == 2, "the lines are given up")
    folder.mkdir()
    put(writer, "three")
    ended(writer)
    assert (folder / "log").read_text() == "three\n"
    assert writer.dropped == 2
    assert "No such file" in caplog.text
    assert "lost 2 lines" in caplog.text


def test_a_pipe_that_nobody_reads_makes_nobody_wait_and_loses_only_what_is_beyond_the_bound() -> (
    None
):
    theirs, ours = os.pipe()
    writer = LineWriter(ours)
    writer.start()
    line = "x" * 1000
    count = 3 * MOST_BYTES // 1000
    for number in range(0, count, 100):
        put(writer, *(f"{n:07d} {line}" for n in range(number, number + 100)))
    assert writer.dropped > 0  # and we are here
    lost = writer.dropped
    received = bytearray()

    def read() -> None:
        while data := os.read(theirs, 65536):
            received.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    ended(writer)
    os.close(ours)
    reader.join()
    os.close(theirs)
    numbers = [int(row[:7]) for row in received.decode().splitlines()]
    assert all(len(row) == 1008 for row in received.decode().splitlines())
    assert numbers == sorted(numbers)
    assert len(numbers) + lost == count + (-count % 100)
    assert len(received) >= MOST_BYTES * 0.9


def test_a_reader_that_is_gone_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    writer = LineWriter(ours)
    writer.start()
    put(writer, "one")
    ended(writer)
    os.close(ours)
    assert writer.dropped == 1
    assert "Broken pipe" in caplog.text


def test_a_pipe_that_somebody_made_non_blocking_still_gets_everything() -> None:
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    writer = LineWriter(ours)
    writer.start()
    lines = [f"{number} {'y' * 500}" for number in range(2000)]
    put(writer, *lines)
    received = bytearray()
    while received.count(b"\n") < 2000:
        received += os.read(theirs, 65536)
    ended(writer)
    os.close(ours)
    os.close(theirs)
    assert received.decode().splitlines() == lines
    assert writer.dropped == 0


@pytest.mark.parametrize(
    "sizes", [[10], [4095], [4095, 1], [1, 4095], [2000, 2000, 2000], [1] * 99]
)
def test_pieces_are_whole_lines_and_short_enough_for_a_pipe(sizes: list[int]) -> None:
    data = b"".join(b"z" * size + b"\n" for size in sizes * 7)
    cut = [bytes(piece) for piece in pieces(data)]
    assert b"".join(cut) == data
    assert all(piece.endswith(b"\n") and len(piece) <= LONGEST_LINE for piece in cut)


def test_lines_of_several_writers_to_one_pipe_do_not_mix() -> None:
    theirs, ours = os.pipe()
    writers = [LineWriter(ours) for _ in range(3)]
    for writer in writers:
        writer.start()
    for number in range(15):
        for name, writer in zip("abc", writers, strict=True):
            put(writer, *(f"{name}{n:05d}{name * (n % 700)}." for n in range(number, 1500, 5)))
    received = bytearray()
    while received.count(b"\n") < 3 * sum(len(range(n, 1500, 5)) for n in range(15)):
        received += os.read(theirs, 65536)
    for writer in writers:
        ended(writer)
    os.close(ours)
    os.close(theirs)
    for line in received.decode().splitlines():
        assert line[-1] == "."
        assert set(line[6:-1]) <= {line[0]}
        assert len(line) == 7 + int(line[1:6]) % 700


@pytest.mark.parametrize(
    ("path", "target"), [("", None), ("stdout", 1), ("stderr", 2), ("a/log", Path("a/log"))]
)
def test_where_a_log_goes(path: str, target: Path | int | None) -> None:
    assert target_of(path) == target


def test_auto_is_for_programs_and_not_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = os.pipe()
    above, terminal = os.openpty()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    expected = {ours: ours, terminal: None, nowhere: None, 987_654: None}
    for fd, target in expected.items():
        monkeypatch.setattr(line_writer, "_STDOUT", fd)
        assert target_of("auto") == target
    for fd in (theirs, ours, above, terminal, nowhere):
        os.close(fd)
