"""Ids as people hand them over: on the command line, or one a line in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gateway.errors import UsageError
from gateway.state.id_lines import wrong_with

MOST_IN_A_PORTION = 20_000  # a slow store writes so many within its timeout
MOST_BYTES_IN_A_PORTION = 4 * 1024 * 1024  # escaped as JSON it is still below what the API takes
MOST_BYTES_OF_AN_ID = 256


def read_ids(file: str) -> list[str]:
    """The ids in a file, or in standard input for `-`: each once, blanks around them taken off.

    All are judged before the first one is sent; UsageError names the line of one that cannot be.
    """
    name = "standard input" if file == "-" else file
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from None
    ids: dict[str, None] = {}
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        unit = line.strip(b" \t\r")
        if len(unit) > MOST_BYTES_OF_AN_ID:
            raise UsageError(
                f"{name} line {number} has {len(unit)} bytes; an id has 1 to {MOST_BYTES_OF_AN_ID}."
            )
        try:
            text = unit.decode()
        except UnicodeDecodeError:
            raise UsageError(f"{name} line {number} is not valid UTF-8 text.") from None
        if wrong := wrong_with(unit):
            raise UsageError(f"{name} line {number} {wrong}; no id does.")
        if text:
            ids[text] = None
    if not ids:
        raise UsageError(f"{name} holds no id; it takes one a line.")
    return list(ids)


def portions(ids: Sequence[str]) -> Iterator[list[str]]:
    """The ids in portions that one call can take."""
    portion: list[str] = []
    size = 0
    for unit in ids:
        length = len(unit.encode(errors="replace"))
        if len(portion) == MOST_IN_A_PORTION or size + length > MOST_BYTES_IN_A_PORTION:
            yield portion
            portion, size = [], 0
        portion.append(unit)
        size += length
    if portion:
        yield portion


class Progress:
    """Tells on a terminal how far it got; elsewhere nothing."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._is_shown = total > MOST_IN_A_PORTION and sys.stderr.isatty()
        self.done = 0

    def add(self, number: int) -> None:
        self.done += number
        if self._is_shown:
            is_last = self.done == self._total
            click.echo(f"\r{self.done} of {self._total} ids", err=True, nl=is_last)
