"""What is in force, told as stories of what a store may say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.routing.spec import RouteSpec
from gateway.state.keeper import MOST_STRANGERS, Keeper
from gateway.state.keys import Keys
from gateway.state.raw import RawRoute, Unreadable
from gateway.state.snapshot import MemberList, Refusal, Snapshot
from tests.state.samples import raw_route, recorded

V1 = "route/chat/whitelist/v1"
V2 = "route/chat/whitelist/v2"
BLACK = "route/chat/blacklist"
BETA = "segment/beta"
BY_SEGMENT = (b'{"when": {"segment": "beta"}, "version": "v2"}',)
LOST = RawRoute("chat")
BROKEN = Refusal("chat", "gray:route:chat:blacklist", "wrong_type", "is not a set")


class Story:
    """A keeper, and short words for what it is told."""

    def __init__(self, start: Snapshot | None = None) -> None:
        self.keeper = Keeper(Keys(), start)
        self.generation = 100

    def names(self, *names: str) -> Story:
        self.keeper.take_names(frozenset(names), [])
        return self

    def route(self, raw: RawRoute) -> Story:
        reading = self.keeper.judge(raw)
        if reading is not None:
            self.keeper.take(reading)
        return self

    def members(self, name: str, *ids: bytes) -> Story:
        self.generation += 1
        self.keeper.take_list(MemberList(name, frozenset(ids), self.generation))
        return self

    def all_lists(self) -> Story:
        """Empty members for every list that is missing."""
        for name in sorted(self.keeper.missing_lists):
            self.members(name)
        return self

    def swap(self) -> Snapshot:
        return self.keeper.snapshot()

    def swap_after(self, raw: RawRoute) -> Snapshot:
        return self.route(raw).swap()

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(one.route, one.reason) for one in self.keeper.current.refused]


def ids(members: MemberList | None) -> set[bytes]:
    """The ids of a small list."""
    assert members is not None
    assert isinstance(members.base, frozenset)
    return set(members.base)


def weight(snapshot: Snapshot, route: str = "chat") -> float:
    return spec(snapshot, route).weights["v2"]


def spec(snapshot: Snapshot, route: str = "chat") -> RouteSpec:
    return snapshot.routes[route].spec


def chat_in_force(**changes: object) -> Story:
    """The route `chat`, recorded as revision 5, is in force."""
    story = Story().names("chat").route(recorded(raw_route("chat", **changes), 5)).all_lists()
    assert weight(story.swap()) == 10
    return story


def weighs(percent: bytes, revision: int = 0, at_ms: int = 1_000) -> RawRoute:
    raw = raw_route(weights={b"v2": percent})
    return recorded(raw, revision, at_ms) if revision else raw


# Coming into force


def test_knowing_nothing_is_not_the_same_as_a_store_without_routes() -> None:
    story = Story()
    assert story.swap().sequence == 0
    assert story.names().swap().sequence == 1
    assert story.swap().sequence == 1


def test_a_route_waits_for_all_of_its_lists() -> None:
    story = Story().names("chat").route(raw_route())
    assert not story.swap().routes
    assert story.keeper.missing_lists == {V1, V2, BLACK}
    story.members(V1).members(V2, b"alice")
    assert not story.swap().routes
    snapshot = story.members(BLACK).swap()
    assert weight(snapshot) == 10
    assert ids(snapshot.lists[V2]) == {b"alice"}
    assert list(snapshot.lists) == sorted([V1, V2, BLACK])


def test_the_form_in_force_says_where_in_the_history_it_stands() -> None:
    story = chat_in_force()
    held = story.keeper.current.routes["chat"]
    raw = recorded(raw_route(), 5)
    assert (held.revision, held.changed_at_ms) == (5, 1_000)
    assert held.state == raw.state()
    assert held.fingerprint == raw.fingerprint()


def test_a_route_that_needs_a_new_list_keeps_its_old_form_until_the_list_is_read() -> None:
    story = chat_in_force()
    wanted = replace(weighs(b"40", 6), rules=BY_SEGMENT)
    assert weight(story.swap_after(wanted)) == 10
    assert story.keeper.missing_lists == {BETA}
    assert weight(story.members(BETA, b"bob").swap()) == 40
    assert ids(story.keeper.current.lists[BETA]) == {b"bob"}


def test_an_invalid_route_keeps_its_last_good_form_and_the_others_move_on() -> None:
    story = chat_in_force().names("chat", "rank").route(raw_route("rank")).all_lists()
    story.swap()
    story.route(weighs(b"140")).route(raw_route("rank", weights={b"v2": b"20"}))
    snapshot = story.swap()
    assert (weight(snapshot), weight(snapshot, "rank")) == (10, 20)
    assert story.reasons == [("chat", "bad_value")]
    assert weight(story.swap_after(weighs(b"30"))) == 30
    assert story.reasons == []


def test_a_doubt_is_shown_and_does_not_hold_the_route_back() -> None:
    snapshot = chat_in_force().swap_after(raw_route(route={b"stable": b"v1", b"hots": b"x"}))
    [doubt] = snapshot.warnings
    assert (doubt.reason, doubt.route) == ("unknown_field", "chat")
    assert not snapshot.refused


# What stays the same


def test_the_same_snapshot_is_kept_when_nothing_changed() -> None:
    story = chat_in_force()
    before = story.swap()
    assert story.swap() is before
    assert story.names("chat").swap() is before
    assert story.swap_after(recorded(raw_route(), 5)) is before
    assert story.keeper.judge(recorded(raw_route(), 5)) is None
    story.keeper.take_list(before.lists[V2])
    assert story.swap() is before


def test_the_sequence_grows_by_one_with_every_change_and_only_then() -> None:
    story = chat_in_force()
    start = story.swap().sequence
    changes: list[Callable[[], object]] = [
        lambda: story.route(weighs(b"20", 6)),
        lambda: story.route(weighs(b"200", 7)),  # a refusal is news
        lambda: story.route(weighs(b"20", 8)),  # another revision of the same is too
        lambda: story.members(V2, b"alice"),
        lambda: story.keeper.take_stranger("gray:zzz"),
        lambda: story.keeper.forget_stranger("gray:zzz"),
        lambda: story.names(),
    ]
    for number, change in enumerate(changes, start=1):
        change()
        assert story.swap().sequence == start + number
        assert story.swap().sequence == start + number


def test_what_was_published_does_not_change_any_more() -> None:
    story = chat_in_force()
    before = story.swap()
    after = story.route(weighs(b"20", 6)).members(V2, b"alice").swap()
    assert (weight(before), weight(after)) == (10, 20)
    assert (ids(before.lists[V2]), ids(after.lists[V2])) == (set(), {b"alice"})
    assert before.lists[BLACK] is after.lists[BLACK]


def test_an_edit_leaves_the_other_routes_the_very_same_objects() -> None:
    story = chat_in_force().names("chat", "rank").route(raw_route("rank")).all_lists()
    before = story.swap()
    after = story.swap_after(weighs(b"20", 6))
    assert after.routes["rank"] is before.routes["rank"]
    assert after.lists is before.lists


# Names that vanish


def test_a_name_taken_out_by_hand_removes_the_route() -> None:
    story = chat_in_force().names("chat", "rank").route(raw_route("rank")).all_lists()
    story.swap()
    snapshot = story.names("rank").swap()
    assert set(snapshot.routes) == {"rank"}
    assert not any("chat" in name for name in snapshot.lists)
    assert not snapshot.refused
    assert story.keeper.reading("chat") is None


def test_a_route_deleted_through_us_is_removed_though_it_was_the_last() -> None:
    story = chat_in_force().names()
    deleted = RawRoute("chat", revision=6, recorded_at_ms=2_000, is_deleted=True, has_history=True)
    assert not story.swap_after(deleted).routes
    assert not story.keeper.current.refused


def test_a_route_whose_keys_were_removed_by_hand_is_removed_while_its_history_stands() -> None:
    story = chat_in_force().names("rank")
    assert not story.swap_after(RawRoute("chat", revision=5, has_history=True)).routes


@pytest.mark.parametrize("others", [(), ("rank",)])
def test_an_emptied_store_removes_nothing(others: tuple[str, ...]) -> None:
    story = chat_in_force().names(*others)
    snapshot = story.swap_after(LOST)
    assert weight(snapshot) == 10
    assert story.reasons == [("chat", "emptied")]
    assert "graygate repopulate" in snapshot.refused[0].text
    assert story.keeper.is_lost("chat")
    assert story.swap() is snapshot


def test_a_store_that_lost_the_set_of_routes_only_removes_nothing() -> None:
    story = chat_in_force()
    snapshot = story.names().swap()
    assert weight(snapshot) == 10
    assert "SADD gray:routes chat" in snapshot.refused[0].text
    assert not story.keeper.is_lost("chat")


def test_names_that_come_back_one_by_one_do_not_drop_the_others() -> None:
    story = chat_in_force().names("chat", "rank").route(raw_route("rank")).all_lists()
    story.swap()
    story.names().swap()
    assert set(story.names("chat").swap().routes) == {"chat", "rank"}
    assert story.reasons == [("rank", "emptied")]
    assert not story.names("chat", "rank").swap().refused
    assert set(story.names("chat").swap().routes) == {"chat"}  # now it is meant


def test_keys_that_come_back_before_the_name_do_not_drop_a_lost_route() -> None:
    story = chat_in_force().names("rank").route(LOST)
    story.swap()
    snapshot = story.swap_after(weighs(b"60"))
    assert weight(snapshot) == 10
    assert story.reasons == [("chat", "emptied")]
    assert weight(story.names("chat", "rank").swap()) == 60
    assert story.reasons == []


def test_a_lost_route_can_be_deleted_for_good() -> None:
    story = chat_in_force().names().route(LOST)
    story.swap()
    deleted = RawRoute("chat", revision=1, is_deleted=True, has_history=True)
    assert not story.swap_after(deleted).routes


def test_a_lost_route_that_is_put_back_follows_the_store_again() -> None:
    story = chat_in_force().names().route(LOST)
    story.swap()
    snapshot = story.names("chat").swap_after(weighs(b"20", 1, at_ms=9_000))
    assert (weight(snapshot), snapshot.routes["chat"].revision) == (20, 1)
    assert not snapshot.refused


def test_a_set_of_routes_that_cannot_be_read_changes_nothing() -> None:
    story = chat_in_force()
    problem = Refusal("", "gray:routes", "wrong_type", "is not a set")
    story.keeper.take_names(None, [problem])
    snapshot = story.swap_after(weighs(b"20"))
    assert weight(snapshot) == 20
    assert snapshot.refused == (problem,)
    assert story.keeper.to_read(None) == {"chat"}
    assert story.keeper.unheard(None) == frozenset()


def test_a_route_that_never_was_in_force_leaves_no_trace() -> None:
    story = Story().names("chat").route(weighs(b"140"))
    story.swap()
    assert story.reasons == [("chat", "bad_value")]
    assert not story.names().swap().refused
    assert story.keeper.reading("chat") is None
    assert not story.keeper.unrecorded
    assert not story.keeper.is_known("chat")


def test_the_routes_to_read_with_new_names_are_the_new_and_the_nameless() -> None:
    story = chat_in_force()
    assert story.keeper.to_read(frozenset(["rank"])) == {"chat", "rank"}
    assert story.keeper.unheard(frozenset(["rank"])) == {"chat", "rank"}
    assert story.keeper.unheard(frozenset(["chat"])) == frozenset()


# A store that went back in time


def test_an_older_revision_changes_nothing_until_somebody_writes() -> None:
    story = chat_in_force()
    story.swap_after(weighs(b"40", 7, at_ms=3_000))
    snapshot = story.swap_after(weighs(b"20", 6, at_ms=2_000))
    assert (weight(snapshot), snapshot.routes["chat"].revision) == (40, 7)
    assert story.reasons == [("chat", "stale_store")]
    snapshot = story.swap_after(weighs(b"30", 7, at_ms=4_000))
    assert weight(snapshot) == 30
    assert not snapshot.refused


def test_an_older_number_that_was_written_later_counts() -> None:
    story = chat_in_force()
    story.swap_after(weighs(b"40", 7, at_ms=3_000))
    assert weight(story.swap_after(weighs(b"50", 6, at_ms=3_001))) == 50


def test_a_history_removed_by_hand_does_not_stop_the_route() -> None:
    story = chat_in_force()
    snapshot = story.swap_after(weighs(b"50"))
    assert (weight(snapshot), snapshot.routes["chat"].revision) == (50, 0)


# Lists


def test_a_list_that_cannot_be_read_keeps_its_members_and_holds_its_route() -> None:
    story = chat_in_force().members(BLACK, b"mallory")
    story.swap()
    story.keeper.take_list_problem(BLACK, BROKEN)
    snapshot = story.swap_after(weighs(b"40", 6))
    assert weight(snapshot) == 10
    assert ids(snapshot.lists[BLACK]) == {b"mallory"}
    assert snapshot.refused == (BROKEN,)
    story.keeper.take_list_problem(BLACK, BROKEN)
    assert story.swap() is snapshot
    story.keeper.take_list(snapshot.lists[BLACK])  # it can be read again, and is as it was
    snapshot = story.swap()
    assert weight(snapshot) == 40
    assert not snapshot.refused


def test_a_list_nobody_needs_is_neither_kept_nor_a_problem() -> None:
    story = chat_in_force()
    before = story.swap()
    story.members("route/chat/whitelist/v9", b"x")
    story.keeper.take_list_problem("segment/none", replace(BROKEN, route=""))
    assert story.swap() is before
    assert story.keeper.members("route/chat/whitelist/v9") is None


def test_the_list_of_a_version_taken_away_is_out_of_force_but_remembered() -> None:
    story = chat_in_force().members(V2, b"alice")
    story.swap()
    without = raw_route(versions={b"v1": b"http://127.0.0.1:9001"}, weights={})
    snapshot = story.swap_after(without)
    assert V2 not in snapshot.lists
    assert story.keeper.members(V2) is None
    remembered = story.keeper.last_members(V2)
    assert ids(remembered) == {b"alice"}

    assert story.swap_after(recorded(raw_route(), 7)) is snapshot  # the list must be read first
    assert V2 in story.members(V2, b"bob").swap().lists
    current = story.keeper.last_members(V2)
    assert ids(current) == {b"bob"}
    story.names("rank").swap()
    assert story.keeper.last_members(V2) is None


def test_nothing_is_remembered_of_a_route_that_is_gone() -> None:
    story = chat_in_force().members(V2, b"alice")
    story.swap()
    without = raw_route(versions={b"v1": b"http://127.0.0.1:9001"}, weights={})
    story.swap_after(without)
    assert ids(story.keeper.last_members(V2)) == {b"alice"}
    story.names("rank").swap()
    assert story.keeper.last_members(V2) is None


def test_a_problem_of_a_list_ends_with_the_need_for_it() -> None:
    story = chat_in_force()
    story.keeper.take_list_problem(V2, replace(BROKEN, key="gray:route:chat:whitelist:v2"))
    assert story.swap().refused
    without = raw_route(versions={b"v1": b"http://127.0.0.1:9001"}, weights={})
    assert not story.swap_after(without).refused


def test_a_segment_belongs_to_all_routes_that_name_it() -> None:
    story = Story().names("chat", "rank")
    story.route(raw_route(rules=BY_SEGMENT)).route(raw_route("rank", rules=BY_SEGMENT))
    story.members(BETA, b"bob").all_lists()
    assert BETA in story.swap().lists
    assert story.keeper.routes_of(BETA) == {"chat", "rank"}
    story.route(raw_route(rules=()))
    assert BETA in story.swap().lists
    story.route(LOST).names("rank")
    story.swap()
    assert not story.keeper.is_frozen_list(BETA)
    assert story.keeper.is_frozen_list(BLACK)
    story.route(raw_route("rank", rules=()))
    assert BETA not in story.swap().lists


def test_lists_are_frozen_while_all_their_routes_are_lost() -> None:
    story = chat_in_force(rules=BY_SEGMENT)
    assert not story.keeper.is_frozen_list(BETA)
    story.names().route(LOST)
    story.swap()
    assert story.keeper.is_frozen_list(BETA)
    assert story.keeper.is_frozen_list(V2)
    assert not story.keeper.is_frozen_list("segment/unheard-of")
    assert not story.keeper.is_lost("unheard-of")


# What the history does not know


def test_what_is_not_recorded_is_known_until_it_is() -> None:
    story = chat_in_force()
    assert not story.keeper.unrecorded
    story.route(weighs(b"20"))
    assert story.keeper.unrecorded == {"chat"}
    reading = story.keeper.reading("chat")
    assert reading is not None
    assert not reading.is_recorded
    story.route(weighs(b"20", 6))
    assert not story.keeper.unrecorded


def test_a_release_key_that_cannot_be_read_does_not_deal_the_users_anew() -> None:
    story = chat_in_force(release_id="r1")
    salt = spec(story.swap()).salt
    wrong = Unreadable("wrong_type", "is not a hash")
    snapshot = story.swap_after(raw_route(release_id=wrong))
    assert spec(snapshot).salt == salt == "chat:r1"
    assert snapshot.refused[0].key == "gray:route:chat:release"


# Beginning with the table from disk


def test_the_saved_table_is_in_force_until_the_store_says_more() -> None:
    saved = chat_in_force().members(V2, b"alice").swap()
    story = Story(replace(saved, sequence=1))
    assert story.keeper.current.routes == saved.routes
    assert set(story.keeper.wanted_lists) == {V1, V2, BLACK}
    assert not story.keeper.missing_lists
    snapshot = story.names("chat").swap_after(recorded(raw_route(), 5))
    assert snapshot.routes == saved.routes
    assert ids(snapshot.lists[V2]) == {b"alice"}
    assert not story.names("rank").swap().routes


def test_the_saved_table_survives_an_empty_store() -> None:
    story = Story(chat_in_force().swap())
    snapshot = story.names().swap_after(LOST)
    assert weight(snapshot) == 10
    assert story.reasons == [("chat", "emptied")]


def test_a_route_of_the_saved_table_that_was_not_read_yet_stays() -> None:
    story = Story(chat_in_force().swap())
    assert weight(story.names("rank").swap()) == 10


# Strangers


def test_an_unknown_key_is_a_doubt_while_it_exists() -> None:
    story = chat_in_force()
    story.keeper.take_stranger("gray:route:chat:wieghts")
    story.keeper.take_stranger("gray:zzz")
    near, far = story.swap().warnings
    assert near.text.endswith("did you mean gray:route:chat:weights?")
    assert far.text.endswith("has no effect")
    story.keeper.forget_stranger("gray:route:chat:wieghts")
    story.keeper.forget_stranger("gray:never-seen")
    assert [doubt.key for doubt in story.swap().warnings] == ["gray:zzz"]


def test_a_flood_of_unknown_keys_is_cut() -> None:
    story = chat_in_force()
    for number in range(3 * MOST_STRANGERS):
        story.keeper.take_stranger(f"gray:junk{number}")
    assert len(story.swap().warnings) == MOST_STRANGERS
