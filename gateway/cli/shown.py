"""How answers are shown to people: plain tables, percents, times, and JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import click
import msgspec


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns with one line each; what a cell holds cannot steer a terminal."""
    lines = [list(head), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def plain(text: str) -> str:
    """`text` on one line, with escapes for whatever is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def percent(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".") + " %"


def local_time(at_ms: int) -> str:
    """The time here, as ISO 8601 has it; a dash when it is not known, or in no calendar."""
    if not at_ms:
        return "-"
    try:
        return datetime.fromtimestamp(at_ms // 1000).astimezone().isoformat()
    except (ValueError, OverflowError, OSError):
        return "-"


def count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def print_json(body: bytes) -> None:
    """The gateway's own JSON, laid out to be read."""
    click.echo(msgspec.json.format(body, indent=2))
