"""The last good table on disk comes back as it was, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from gateway.routing.lists import TableBuilder
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from gateway.state.lastgood import FILE, LastGood
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute, MemberList, Snapshot

V2 = "route/chat/whitelist/v2"
BLACK = "route/chat/blacklist"


def snapshot_of(revision: int, large: bool = True) -> Snapshot:
    """A table whose lists depend on the revision."""
    builder = TableBuilder(2000)
    builder.add(b"user-%d-%d" % (revision, n) for n in range(2000))
    spec = RouteSpec(
        name="chat",
        stable="v1",
        versions={
            "v1": VersionSpec(urls=("http://a",)),
            "v2": VersionSpec(urls=("http://b",), rewrite_model="m"),
        },
        weights={"v2": 12.5},
        rules=(RuleSpec(when={"header": {"x": ["a", {"n": 1}]}}, version="v2"),),
        salt="chat",
        timeouts={"idle": 2.5},
        balance="rendezvous",
        health_path="/ok",
        mirror="v2",
        mirror_percent=12.5,
    )
    state = RouteState({"stable": "v1"}, {"v1": "http://a"}, {"v2": "12.5"}, ("{}",))
    packed = MemberList(V2, builder.finish(), 3, frozenset([b"new"]), frozenset([b"user-1-1"]))
    small = MemberList(V2, frozenset([b"alice", b"\xff\x00"]), 3)
    lists = {V2: packed if large else small, BLACK: MemberList(BLACK, frozenset(), 1)}
    return Snapshot(
        sequence=revision,
        routes=MappingProxyType({"chat": HeldRoute(spec, state, revision, 1234, "print")}),
        lists=MappingProxyType(lists),
    )


@pytest.mark.parametrize("large", [True, False])
def test_what_was_saved_is_loaded(tmp_path: Path, large: bool) -> None:
    saved = snapshot_of(7, large)
    LastGood(tmp_path / "deep" / "er").save(saved)
    loaded, problem = LastGood(tmp_path / "deep" / "er").load()
    assert problem is None
    assert loaded is not None
    assert loaded.routes == saved.routes
    assert set(loaded.lists) == {V2, BLACK}
    for unit in (b"user-7-0", b"user-7-1999", b"new", b"alice", b"\xff\x00", b"user-8-0"):
        assert (unit in loaded.lists[V2].container) == (unit in saved.lists[V2].container)


def test_where_the_lists_of_a_route_stand_is_saved_with_it(tmp_path: Path) -> None:
    for behind in ({}, {"chat": 5}, {"chat": 0}):
        LastGood(tmp_path).save(replace(snapshot_of(7), behind=behind))
        loaded, _ = LastGood(tmp_path).load()
        assert loaded is not None
        assert loaded.behind == behind
        assert loaded.routes["chat"].revision == 7


def test_files_are_for_their_owner_only_and_old_ones_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".new-left-by-a-killed-writer").write_bytes(b"x")
    (tmp_path / "somebody-elses").write_bytes(b"x")
    keep = LastGood(tmp_path)
    keep.save(snapshot_of(1))
    keep.save(snapshot_of(2))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len([name for name in names if name.startswith("list-")]) == 1
    assert ".new-left-by-a-killed-writer" not in names
    assert "somebody-elses" in names
    for path in (tmp_path / FILE, *tmp_path.glob("list-*")):
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_unchanged_large_list_is_not_written_again(tmp_path: Path) -> None:
    keep, snapshot = LastGood(tmp_path), snapshot_of(1)
    keep.save(snapshot)
    [file] = tmp_path.glob("list-*")
    before = file.stat()
    keep.save(snapshot)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nothing_saved_is_no_problem_worth_telling(tmp_path: Path) -> None:
    keep = LastGood(tmp_path)
    assert keep.load() == (None, keep.missing)


def test_K05_every_cut_of_the_file_is_refused(tmp_path: Path) -> None:
    keep = LastGood(tmp_path)
    keep.save(snapshot_of(1, large=False))
    whole = (tmp_path / FILE).read_bytes()
    for size in range(0, len(whole) - 1, 7):
        (tmp_path / FILE).write_bytes(whole[:size])
        loaded, problem = keep.load()
        assert loaded is None, f"cut at {size}"
        assert problem is not None


def test_K05_a_changed_byte_is_refused(tmp_path: Path) -> None:
    keep = LastGood(tmp_path)
    keep.save(snapshot_of(1, large=False))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole.replace(b"12.5", b"99.5"))
    loaded, problem = keep.load()
    assert loaded is None
    assert "changed" in str(problem)


def test_K05_another_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    keep = LastGood(tmp_path)
    keep.save(snapshot_of(1, large=False))
    newer = (tmp_path / FILE).read_bytes().replace(b'"format":1', b'"format":2', 1)
    (tmp_path / FILE).write_bytes(newer)
    loaded, problem = keep.load()
    assert loaded is None
    assert "format 2" in str(problem)
    assert (tmp_path / FILE).read_bytes() == newer


@pytest.mark.parametrize("damage", ["missing", "cut", "swapped"])
def test_K05_a_damaged_list_file_is_refused_with_all_the_rest(tmp_path: Path, damage: str) -> None:
    keep = LastGood(tmp_path)
    keep.save(snapshot_of(1))
    [file] = tmp_path.glob("list-*")
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-4096])
    else:
        other = LastGood(tmp_path / "other")
        other.save(snapshot_of(2))
        [wrong] = (tmp_path / "other").glob("list-*")
        file.write_bytes(wrong.read_bytes())
    loaded, problem = keep.load()
    assert loaded is None
    assert problem not in (None, keep.missing)


def test_a_folder_that_cannot_be_written_is_an_error_for_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        LastGood(tmp_path / "file").save(snapshot_of(1))
