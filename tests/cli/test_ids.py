from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.cli.ids import MOST_BYTES_IN_A_PORTION, MOST_IN_A_PORTION, Progress, portions, read_ids
from gateway.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ids"


def test_ids_stand_one_a_line_each_once_without_blanks(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfalice\r\n\n  bob\t\nalice\nZo\xc3\xab with a blank")
    assert read_ids(str(file)) == ["alice", "bob", "Zoë with a blank"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no id; it takes one a line."),
        (b" \n\r\n", "holds no id; it takes one a line."),
        (b"a\n\xff\n", "line 2 is not valid UTF-8 text."),
        (b"a\n" + b"x" * 257, "line 2 has 257 bytes; an id has 1 to 256."),
        (b"a\nb\x00c\n", "line 2 holds a line end or another control character; no id does."),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(
    file: Path, content: bytes, told: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_ids(str(file))
    assert str(caught.value) == f"{file} {told}"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory\."):
        read_ids(str(tmp_path))


def test_portions_hold_everything_in_order_and_are_bounded_by_number() -> None:
    ids = [str(number) for number in range(2 * MOST_IN_A_PORTION + 1)]
    parts = list(portions(ids))
    assert [len(part) for part in parts] == [MOST_IN_A_PORTION, MOST_IN_A_PORTION, 1]
    assert [unit for part in parts for unit in part] == ids
    assert MOST_IN_A_PORTION <= 50_000


def test_portions_are_bounded_by_bytes() -> None:
    ids = ["é" * 128 + str(number) for number in range(MOST_IN_A_PORTION)]
    parts = list(portions(ids))
    assert [unit for part in parts for unit in part] == ids
    assert all(sum(len(u.encode()) for u in p) <= MOST_BYTES_IN_A_PORTION for p in parts)
    assert len(parts) > 1


def test_nothing_has_no_portions() -> None:
    assert list(portions([])) == []


@pytest.mark.parametrize(
    ("is_terminal", "total", "shown"),
    [
        (True, MOST_IN_A_PORTION + 1, "\r20000 of 20001 ids\r20001 of 20001 ids\n"),
        (True, MOST_IN_A_PORTION, ""),
        (False, MOST_IN_A_PORTION + 1, ""),
    ],
)
def test_progress_is_for_terminals_and_for_more_than_one_portion(
    is_terminal: bool,
    total: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    progress = Progress(total)
    progress.add(MOST_IN_A_PORTION)
    if total > MOST_IN_A_PORTION:
        progress.add(1)
    assert (capsys.readouterr().err, progress.done) == (shown, total)
