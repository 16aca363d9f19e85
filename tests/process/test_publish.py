"""What workers are told, and the files of large lists."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from gateway.process.channel import Update, encode
from gateway.process.publish import ListFiles, difference
from gateway.state.snapshot import MemberList, Snapshot
from tests.process.snapshots import WHITELIST, packed, small_list, snapshot, spec

MANY = frozenset(f"user-{number}".encode() for number in range(50_000))


def step(held: Snapshot | None, wanted: Snapshot, folder: Path) -> Update:
    files = ListFiles(folder)
    files.write_missing(wanted)
    return difference(held, wanted, files)


def test_a_worker_that_knows_nothing_gets_everything(tmp_path: Path) -> None:
    wanted = snapshot(3, [spec(), spec("other", path="/o")], [small_list(b"alice")])
    update = step(None, wanted, tmp_path)
    assert update.is_full and update.sequence == 3
    assert [route.name for route in update.routes] == ["chat", "other"]
    assert [(one.name, one.ids) for one in update.lists] == [(WHITELIST, (b"alice",))]


def test_a_change_of_weight_names_its_route_and_sends_no_list(tmp_path: Path) -> None:
    members = MemberList(WHITELIST, MANY, 1)
    held = snapshot(1, [spec(), spec("other", path="/o")], [members])
    wanted = snapshot(2, [spec(v2=10.0), spec("other", path="/o")], [members])
    update = step(held, wanted, tmp_path)
    assert update == Update(sequence=2, routes=(spec(v2=10.0),))
    assert len(encode(update)) < 500


def test_an_id_that_came_or_went_is_sent_alone(tmp_path: Path) -> None:
    before = MemberList(WHITELIST, MANY, 1, added=frozenset({b"x"}))
    after = replace(before, added=frozenset({b"x", b"y"}), removed=frozenset({b"user-1"}))
    update = step(snapshot(1, [spec()], [before]), snapshot(2, [spec()], [after]), tmp_path)
    [change] = update.lists
    assert change.ids is None and change.path is None
    assert set(change.added) == {b"x", b"y"} and change.removed == (b"user-1",)
    assert update.routes == ()


def test_another_base_is_sent_whole(tmp_path: Path) -> None:
    held = snapshot(1, [spec()], [small_list(b"a")])
    wanted = snapshot(2, [spec()], [small_list(b"a", b"b", generation=2)])
    [change] = step(held, wanted, tmp_path).lists
    assert change.generation == 2 and set(change.ids or ()) == {b"a", b"b"}


def test_what_is_gone_is_named(tmp_path: Path) -> None:
    held = snapshot(1, [spec(), spec("other", path="/o")], [small_list(b"a")])
    update = step(held, snapshot(2, [spec()]), tmp_path)
    assert update == Update(sequence=2, removed_routes=("other",), removed_lists=(WHITELIST,))


def test_notes_about_versions_are_not_sent_and_their_change_is_none(tmp_path: Path) -> None:
    held, wanted = snapshot(1, [spec(note="old")]), snapshot(2, [spec(note="new")])
    assert step(held, wanted, tmp_path) == Update(sequence=2)
    assert step(None, wanted, tmp_path).routes == (spec(),)


def test_a_large_list_lies_in_one_private_file_and_only_its_path_is_sent(tmp_path: Path) -> None:
    members = MemberList(WHITELIST, packed(60_000), 1)
    files = ListFiles(tmp_path)
    wanted = snapshot(1, [spec()], [members])
    files.write_missing(wanted)
    files.write_missing(wanted)
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    update = difference(None, wanted, files)
    assert [(one.path, one.ids) for one in update.lists] == [(str(file), None)]
    assert len(encode(update)) < 1000


def test_a_large_list_that_grew_is_not_written_again(tmp_path: Path) -> None:
    before = MemberList(WHITELIST, packed(1000), 1)
    after = replace(before, added=frozenset({b"new"}))
    files = ListFiles(tmp_path)
    held, wanted = snapshot(1, [spec()], [before]), snapshot(2, [spec()], [after])
    files.write_missing(held)
    files.write_missing(wanted)
    assert len(list(tmp_path.iterdir())) == 1
    [change] = difference(held, wanted, files).lists
    assert change.path is None and change.added == (b"new",)


def test_a_file_goes_when_no_snapshot_needs_it(tmp_path: Path) -> None:
    files = ListFiles(tmp_path)
    old = snapshot(1, [spec()], [MemberList(WHITELIST, packed(1000), 1)])
    new = snapshot(2, [spec()], [MemberList(WHITELIST, packed(2000), 2)])
    files.write_missing(old)
    files.write_missing(new)
    files.keep_only([old, new])
    assert len(list(tmp_path.iterdir())) == 2
    files.keep_only([new])
    assert list(tmp_path.iterdir()) == [files.path_of(WHITELIST, 2)]


def test_files_of_an_earlier_control_are_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "list-1-1.table").touch()
    (tmp_path / "channel").touch()
    ListFiles(tmp_path).sweep_leftovers()
    assert [path.name for path in tmp_path.iterdir()] == ["channel"]
