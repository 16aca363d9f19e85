"""Writes of one turn of the loop leave together, in order, and whoever is lost harms nobody."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.upstream.outbox import Outbox


class Link(asyncio.Transport):
    """Remembers what is written to it, in a book that several may share."""

    def __init__(self, name: str, book: list[tuple[str, bytes]]) -> None:
        super().__init__()
        self.name = name
        self.book = book
        self.is_lost = self.is_broken = self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_broken:
            raise RuntimeError("broken")
        self.book.append((self.name, bytes(data)))

    def is_closing(self) -> bool:
        return self.is_lost

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def book() -> list[tuple[str, bytes]]:
    return []


def started() -> Outbox:
    outbox = Outbox()
    outbox.start(asyncio.get_running_loop())
    return outbox


def test_before_it_is_started_it_writes_at_once(book: list[tuple[str, bytes]]) -> None:
    Outbox().put(Link("a", book), b"1")
    assert book == [("a", b"1")]


async def test_writes_leave_in_order_at_the_end_of_the_turn(book: list[tuple[str, bytes]]) -> None:
    outbox, one, other = started(), Link("a", book), Link("b", book)
    for number in range(2):
        for link in (one, other, one):
            outbox.put(link, b"%d" % number)
        assert len(book) == 3 * number
        assert repr(outbox) == "<Outbox with 3 writes>"
        await asyncio.sleep(0)
        assert book[3 * number :] == [(name, b"%d" % number) for name in "aba"]


async def test_who_ends_a_connection_has_all_written_before(book: list[tuple[str, bytes]]) -> None:
    outbox, link = started(), Link("a", book)
    outbox.put(link, b"1")
    outbox.flush()
    assert book == [("a", b"1")]
    await asyncio.sleep(0)
    assert book == [("a", b"1")]


async def test_what_waits_for_a_lost_connection_is_dropped(book: list[tuple[str, bytes]]) -> None:
    outbox, lost, other = started(), Link("a", book), Link("b", book)
    outbox.put(lost, b"1")
    outbox.put(other, b"2")
    lost.is_lost = True
    await asyncio.sleep(0)
    assert book == [("b", b"2")]


async def test_a_write_that_fails_ends_its_own_connection_only(
    book: list[tuple[str, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    outbox, broken, other = started(), Link("a", book), Link("b", book)
    broken.is_broken = True
    outbox.put(broken, b"1")
    outbox.put(other, b"2")
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(0)
    assert book == [("b", b"2")]
    assert broken.is_aborted and not other.is_aborted
    assert "could not be written" in caplog.text


async def test_what_is_put_while_others_are_written_is_written_too(
    book: list[tuple[str, bytes]],
) -> None:
    outbox, link = started(), Link("a", book)

    class Answering(Link):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            super().write(data)
            outbox.put(link, b"2")

    outbox.put(Answering("b", book), b"1")
    for _ in range(2):
        await asyncio.sleep(0)
    assert book == [("b", b"1"), ("a", b"2")]
