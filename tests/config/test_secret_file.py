from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.secret_file import read_secret


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"p", "p"),
        (b"p\n", "p"),
        (b"p\r\n", "p"),
        (b"p\n\n", "p\n"),
        (b" p ", " p "),
        (b"a\nb\n", "a\nb"),
        ("gr\u00fcn\n".encode(), "gr\u00fcn"),
    ],
)
def test_one_line_end_is_dropped_and_nothing_else(content: bytes, secret: str) -> None:
    Path("s").write_bytes(content)
    assert read_secret("s").reveal() == secret


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "names a file that is empty"),
        (b"\n", "names a file that is empty"),
        (b"\xffp", "names a file that is not UTF-8 text"),
        (b"x" * 70_000, "names a file longer than 65536 bytes"),
    ],
)
def test_a_file_without_a_usable_secret_is_refused(content: bytes, told: str) -> None:
    Path("s").write_bytes(content)
    with pytest.raises(ValueError) as refused:
        read_secret("s")
    assert str(refused.value) == told
    # An error about the bytes would show them in a traceback.
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_a_file_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than"):
        read_secret("/dev/zero")


@pytest.mark.parametrize("path", ["hunter2", "hunter2\0", "/", "hunter2" * 1000])
def test_a_path_that_cannot_be_read_is_not_repeated(path: str) -> None:
    with pytest.raises(ValueError, match=r"^names a file that cannot be read: ") as refused:
        read_secret(path)
    assert "hunter2" not in str(refused.value)
