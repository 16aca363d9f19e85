from __future__ import annotations

import pytest

from gateway.errors import UsageError
from gateway.state.id_lines import MOST_BYTES_OF_AN_ID, IdLines

TEXT = b"\xef\xbb\xbfalice\r\n\n  bob\t\nzo\xc3\xab\nlast"
IDS = [b"alice", b"bob", "zoë".encode(), b"last"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_ids_come_out_whole_however_the_text_is_cut(size: int) -> None:
    lines = IdLines("FILE")
    found: list[bytes] = []
    for start in range(0, len(TEXT), size):
        found += lines.feed(TEXT[start : start + size])
    assert found + lines.finish() == IDS
    assert lines.finish() == []
    assert repr(lines) == "<IdLines of FILE after line 5>"


def test_the_longest_id_is_taken_and_a_longer_one_is_named_by_its_line() -> None:
    longest = b"x" * MOST_BYTES_OF_AN_ID
    assert IdLines("FILE").feed(b"a\n " + longest + b" \n") == [b"a", longest]
    with pytest.raises(UsageError, match=r"FILE line 2 has 257 bytes; an id has 1 to 256\."):
        IdLines("FILE").feed(b"a\n" + longest + b"x\n")


def test_a_line_without_an_end_is_not_kept() -> None:
    lines = IdLines("FILE")
    lines.feed(b"x" * 300)
    with pytest.raises(UsageError, match="FILE line 1 has"):
        lines.feed(b"x" * 300)


def test_what_is_no_text_is_named_by_its_line() -> None:
    with pytest.raises(UsageError, match=r"FILE line 2 is not valid UTF-8 text\."):
        IdLines("FILE").feed(b"a\n\xff\n")
    lines = IdLines("FILE")
    lines.feed(b"a\n\xff")
    with pytest.raises(UsageError, match="line 2"):
        lines.finish()
