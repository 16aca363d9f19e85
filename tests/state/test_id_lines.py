from __future__ import annotations

import pytest

from gateway.errors import UsageError
from gateway.state.id_lines import MOST_BYTES_OF_AN_ID, IdLines, wrong_with

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


ODD = [b"a\nb", b"a\rb", b"a\tb", b"a\x00", b"\x7fa", b" a", b"a ", b"\xef\xbb\xbfa"]


@pytest.mark.parametrize("unit", ODD)
def test_an_id_that_no_line_can_hold_is_told_apart(unit: bytes) -> None:
    assert wrong_with(unit)


@pytest.mark.parametrize("unit", [b"a", b"a b", "zoë".encode(), "\u3000a".encode(), b"sha256:0a"])
def test_an_id_that_a_line_can_hold_is_right(unit: bytes) -> None:
    assert not wrong_with(unit)
    assert IdLines("FILE").feed(b"a\n" + unit + b"\n") == [b"a", unit]


@pytest.mark.parametrize("unit", [b"a\rb", b"a\tb", b"a\x00b", b"\x7fa", b"\xef\xbb\xbfa"])
def test_a_line_with_a_control_character_is_named(unit: bytes) -> None:
    lines = IdLines("FILE")
    assert lines.feed(b"a\n") == [b"a"]
    with pytest.raises(UsageError, match=r"FILE line 2 (holds|begins with) a.*; no id does\."):
        lines.feed(unit + b"\n")
