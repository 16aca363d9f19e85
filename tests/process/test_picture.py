"""A worker's picture of routes and lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.errors import ChannelError
from gateway.process.channel import ListChange, Update
from gateway.process.picture import Picture, map_list
from gateway.process.publish import ListFiles, difference
from gateway.routing.decide import decide
from gateway.routing.decision import Reason
from gateway.routing.facts import RequestFacts
from gateway.routing.spec import RuleSpec
from gateway.routing.table import Identity, Table
from gateway.state.snapshot import MemberList, Snapshot
from tests.process.snapshots import WHITELIST, packed, small_list, snapshot, spec


def decided(table: Table, user: bytes) -> tuple[str, Reason]:
    facts = RequestFacts("GET", b"", b"/", b"", {b"x-user-id": user}, "127.0.0.1", True)
    route = table.match(facts)
    assert route is not None
    decision = decide(route, facts, now=0.0, draw=lambda: 0.5)
    return decision.version, decision.reason


class Both:
    """Control's files and a worker's picture, wired together without a channel."""

    def __init__(self, folder: Path) -> None:
        self.files = ListFiles(folder)
        self.picture = Picture(Identity())
        self.held: Snapshot | None = None

    def go(self, wanted: Snapshot) -> Table:
        self.files.write_missing(wanted)
        update = difference(self.held, wanted, self.files)
        self.held = wanted
        self.files.keep_only([wanted])
        return self.picture.apply(update)


def test_the_first_update_makes_a_table_that_decides(tmp_path: Path) -> None:
    table = Both(tmp_path).go(snapshot(5, [spec()], [small_list(b"alice")]))
    assert table.sequence == 5
    assert decided(table, b"alice") == ("v2", Reason.WHITELIST)
    assert decided(table, b"bob") == ("v1", Reason.STABLE)


def test_routes_that_did_not_change_keep_their_compiled_form(tmp_path: Path) -> None:
    both = Both(tmp_path)
    before = both.go(snapshot(1, [spec(), spec("other", path="/o")], [small_list(b"alice")]))
    wanted = [spec(v2=100.0), spec("other", path="/o")]
    after = both.go(snapshot(2, wanted, [small_list(b"alice")]))
    assert after.routes["other"] is before.routes["other"]
    assert decided(after, b"bob") == ("v2", Reason.WEIGHT)
    assert decided(before, b"bob") == ("v1", Reason.STABLE)
    assert decided(after, b"alice") == ("v2", Reason.WHITELIST)


def test_a_changed_list_reaches_the_routes_that_use_it_and_no_others(tmp_path: Path) -> None:
    both = Both(tmp_path)
    before = both.go(snapshot(1, [spec(), spec("other", path="/o")], [small_list(b"alice")]))
    grown = replace(small_list(b"alice"), added=frozenset({b"bob"}))
    after = both.go(snapshot(2, [spec(), spec("other", path="/o")], [grown]))
    assert decided(after, b"bob") == ("v2", Reason.WHITELIST)
    assert after.routes["other"] is before.routes["other"]
    gone = both.go(snapshot(3, [spec(), spec("other", path="/o")]))
    assert decided(gone, b"alice") == ("v1", Reason.STABLE)


def test_a_segment_that_changed_reaches_the_rules_that_ask_for_it(tmp_path: Path) -> None:
    both = Both(tmp_path)
    rule = RuleSpec(when={"any": [{"not": {"segment": "staff"}}]}, version="v2")
    route = msgspec.structs.replace(spec(), rules=(rule,))
    staff = MemberList("segment/staff", frozenset({b"alice"}), 1)
    assert decided(both.go(snapshot(1, [route], [staff])), b"alice") == ("v1", Reason.STABLE)
    nobody = MemberList("segment/staff", frozenset(), 2)
    assert decided(both.go(snapshot(2, [route], [nobody])), b"alice") == ("v2", Reason.RULE)


def test_a_large_list_is_mapped_and_stays_when_its_file_is_gone(tmp_path: Path) -> None:
    both = Both(tmp_path)
    table = both.go(snapshot(1, [spec()], [MemberList(WHITELIST, packed(60_000), 1)]))
    [file] = tmp_path.iterdir()
    file.unlink()
    assert decided(table, b"user-59999") == ("v2", Reason.WHITELIST)
    assert decided(table, b"user-60000") == ("v1", Reason.STABLE)
    grown = MemberList(WHITELIST, packed(1), 1, frozenset({b"new"}), frozenset({b"user-7"}))
    table = both.picture.apply(difference(both.held, snapshot(2, [spec()], [grown]), both.files))
    assert decided(table, b"new") == ("v2", Reason.WHITELIST)
    assert decided(table, b"user-7") == ("v1", Reason.STABLE)
    assert decided(table, b"user-8") == ("v2", Reason.WHITELIST)


def test_a_full_update_forgets_what_it_does_not_name(tmp_path: Path) -> None:
    both = Both(tmp_path)
    both.go(snapshot(1, [spec("other", path="/o")], [small_list(b"alice")]))
    both.held = None
    table = both.go(snapshot(1, [spec()]))
    assert set(table.routes) == {"chat"}
    assert decided(table, b"alice") == ("v1", Reason.STABLE)
    assert "0 lists" in repr(both.picture)


@pytest.mark.parametrize(
    "change",
    [
        ListChange(name=WHITELIST, generation=2, added=(b"x",)),
        ListChange(name="segment/unknown", generation=1, added=(b"x",)),
        ListChange(name=WHITELIST, generation=2, path="/nowhere/list-1.table"),
    ],
)
def test_an_update_that_cannot_be_followed_changes_nothing(
    tmp_path: Path, change: ListChange
) -> None:
    both = Both(tmp_path)
    table = both.go(snapshot(1, [spec()], [small_list(b"alice")]))
    with pytest.raises(ChannelError):
        both.picture.apply(Update(sequence=2, routes=(spec(v2=100.0),), lists=(change,)))
    assert both.picture.table is table
    follow = both.picture.apply(Update(sequence=2, routes=(spec(v2=1e-6),)))
    assert decided(follow, b"alice") == ("v2", Reason.WHITELIST)


def test_a_damaged_list_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"short", bytes(4096)):
        (tmp_path / "list").write_bytes(content)
        with pytest.raises(ChannelError):
            map_list(tmp_path / "list")


def test_a_route_that_this_release_cannot_compile_holds_nothing_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = Both(tmp_path)
    both.go(snapshot(1, [spec()]))
    strange = msgspec.structs.replace(spec(), unit=("telepathy:mind",))
    table = both.go(snapshot(2, [strange, spec("other", path="/o")]))
    assert set(table.routes) == {"chat", "other"}
    assert decided(table, b"bob") == ("v1", Reason.STABLE)
    assert "keeps its last good form" in caplog.text
