from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gateway.demo.folder import Holder, StoreFolder
from gateway.errors import StoreError, UsageError


def test_a_folder_belongs_to_one_owner_until_it_is_released(tmp_path: Path) -> None:
    first, second = StoreFolder(tmp_path), StoreFolder(tmp_path)
    first.take()
    first.take()
    with pytest.raises(UsageError, match="another graygate already runs the store in"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_the_refusal_names_the_holder_when_it_left_a_note(tmp_path: Path) -> None:
    first = StoreFolder(tmp_path)
    first.take()
    first.write_holder(Holder(pid=11, owner=22, port=33))
    with pytest.raises(UsageError, match=r"graygate \(process 22, store on port 33\) already"):
        StoreFolder(tmp_path).take()
    first.release()


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"])
def test_a_note_that_cannot_be_read_is_no_note(tmp_path: Path, note: bytes) -> None:
    (tmp_path / "store.json").write_bytes(note)
    assert StoreFolder(tmp_path).read_holder() is None


def test_the_data_lock_lives_on_in_the_process_that_inherits_it(tmp_path: Path) -> None:
    first, second = StoreFolder(tmp_path), StoreFolder(tmp_path)
    first.take()
    assert first.take_data(0)
    server = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=[first.data_lock])
    try:
        first.release()
        second.take()  # nobody answers for the folder,
        assert not second.take_data(0.05)  # but somebody may still write in it
    finally:
        server.communicate()
    assert second.take_data(0)
    second.release()


def test_the_locks_are_not_inherited_by_accident(tmp_path: Path) -> None:
    folder = StoreFolder(tmp_path)
    folder.take()
    folder.take_data(0)
    assert not os.get_inheritable(folder.data_lock)
    folder.release()
    with pytest.raises(RuntimeError, match="free> has no data lock yet"):
        _ = folder.data_lock


def test_the_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    folder = StoreFolder(tmp_path / "a" / "b")
    folder.take()
    folder.release()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="make the folder writable, run elsewhere, or name"):
        StoreFolder(tmp_path / "file" / "x").take()
