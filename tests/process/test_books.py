"""The ledger's files."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from gateway.process.books import Books
from gateway.process.channel import Totals, VersionTotals
from gateway.process.totals import Ledger

KEY = ("chat", "v2", "weight")


def counted(count: int) -> Totals:
    version = VersionTotals(
        route="chat", version="v2", codes={200: count}, errors={"connect": 1}, in_flight=3
    )
    return Totals(
        decisions=((*KEY, count),), versions=(version,), shed={"lag": 2}, dropped={"lines": 1}
    )


def lived(books: Books, ledger: Ledger, place: int, born: int, count: int) -> None:
    """A worker's whole life, written down as the feed does it."""
    if ledger.join(place, born):
        books.settle(ledger)
    assert ledger.put(place, born, counted(count))
    books.keep(place, born, counted(count))
    if ledger.leave(place, born):
        books.settle(ledger)


def test_a_folder_without_books_is_an_empty_ledger(tmp_path: Path) -> None:
    assert Books(tmp_path).read().decisions() == {}


def test_everything_that_was_written_is_read_and_counted_once(tmp_path: Path) -> None:
    books, ledger = Books(tmp_path), Ledger()
    for born in range(20):
        lived(books, ledger, 0, born, 10)
    lived(books, ledger, 1, 30, 7)
    after = Books(tmp_path).read()
    assert after.decisions() == ledger.decisions() == {KEY: 207}
    now, before = after.counted(), ledger.counted()
    numbers = now.numbers["chat", "v2"]
    assert numbers.codes == {200: 207}
    assert numbers.errors == {"connect": 21}
    assert numbers.in_flight == 0
    assert (now.shed, now.dropped) == (before.shed, before.dropped) == ({"lag": 42}, {"lines": 21})


def test_files_of_folded_workers_go_and_never_count_again(tmp_path: Path) -> None:
    books, ledger = Books(tmp_path), Ledger()
    lived(books, ledger, 0, 1, 10)
    leftover = tmp_path / "totals-0-1"
    content = leftover.read_bytes()
    for born in range(2, 12):
        lived(books, ledger, 0, born, 1)
    assert not leftover.exists()
    assert len(list(tmp_path.iterdir())) < 8
    leftover.write_bytes(content)  # as if control had been killed between two steps
    assert Books(tmp_path).read().decisions() == {KEY: 20}


def test_files_that_cannot_be_read_count_as_nothing(tmp_path: Path) -> None:
    Books(tmp_path).keep(1, 5, counted(3))
    (tmp_path / "totals-gone").write_bytes(b"\xc1")
    (tmp_path / "totals-2-6").write_bytes(b"")
    (tmp_path / "totals-x-y").write_bytes(b"")
    (tmp_path / ".totals-3-7").write_bytes(b"half")
    assert Books(tmp_path).read().decisions() == {KEY: 3}


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    Books(tmp_path).keep(1, 5, counted(3))
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_gone_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    books = Books(tmp_path / "gone")
    with caplog.at_level(logging.WARNING):
        for count in range(3):
            books.keep(0, 1, counted(count))
        books.settle(Ledger())
    assert len(caplog.records) == 1
    assert "Counts cannot be written" in caplog.text
