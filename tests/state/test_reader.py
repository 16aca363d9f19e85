"""Reading the small keys: whatever a reply is, it becomes plain data."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreDenied, StoreError
from gateway.state.keys import Keys
from gateway.state.raw import Unreadable
from gateway.state.reader import (
    MAX_FINDINGS,
    MAX_ROUTES,
    ROUTES_PER_TRANSACTION,
    Command,
    parse_route,
    read_route_names,
    read_routes,
    route_commands,
    unreadable,
)

KEYS = Keys()
WRONG = StoreError("WRONGTYPE Operation against a key holding the wrong kind of value")
DENIED = StoreDenied("no permissions")
EMPTY: list[object] = [{}, {}, {}, [], None, []]


class Answers:
    """A link that answers each transaction from a function of one command."""

    def __init__(self, *replies: object) -> None:
        self.replies = replies
        self.transactions: list[Sequence[Command]] = []

    async def transaction(self, commands: Sequence[Command]) -> list[object]:
        self.transactions.append(commands)
        return [self.replies[i % len(self.replies)] for i in range(len(commands))]


def entry(name: bytes = b"5-1", **pairs: bytes) -> list[object]:
    flat = [word for key, value in pairs.items() for word in (key.encode(), value)]
    return [[name, flat]]


async def test_the_names_that_may_be_names_are_taken_and_the_others_reported() -> None:
    names, refused = await read_route_names(Answers([b"chat", b"a b", b"\xff", b"rank"]), KEYS)
    assert names == frozenset(["chat", "rank"])
    assert [(one.key, one.reason) for one in refused] == [("gray:routes", "bad_value")] * 2
    assert "'a b'" in refused[0].text


@pytest.mark.parametrize("reply", [set(), frozenset(), [], None])
async def test_no_names_are_an_empty_set(reply: object) -> None:
    assert await read_route_names(Answers(reply), KEYS) == (frozenset(), [])


async def test_names_that_cannot_be_read_are_none_which_is_not_empty() -> None:
    names, [problem] = await read_route_names(Answers(WRONG), KEYS)
    assert names is None
    assert (problem.key, problem.reason) == ("gray:routes", "wrong_type")
    assert "DEL gray:routes" in problem.text


async def test_many_routes_are_read_in_portions_and_each_route_in_one_step() -> None:
    names = [f"r{number}" for number in range(2 * ROUTES_PER_TRANSACTION + 1)]
    link = Answers(*EMPTY)
    routes = await read_routes(link, KEYS, names)
    assert set(routes) == set(names)
    assert all(raw.is_empty and raw.name == name for name, raw in routes.items())
    step = len(route_commands(KEYS, "x"))
    assert [len(one) // step for one in link.transactions] == [
        ROUTES_PER_TRANSACTION, ROUTES_PER_TRANSACTION, 1,
    ]  # fmt: skip
    assert await read_routes(link, KEYS, []) == {}


@pytest.mark.parametrize(
    "weights", [{b"v2": b"10"}, [b"v2", b"10"]], ids=["RESP3 map", "RESP2 flat list"]
)
def test_a_route_is_read_in_both_protocols(weights: object) -> None:
    history = entry(op=b"change", at=b"77", print=b"abc")
    raw = parse_route(
        KEYS, "chat", [{b"stable": b"v1"}, {b"v1": b"http://h"}, weights, [b"{}"], b"r1", history]
    )
    assert raw.weights == {b"v2": b"10"}
    assert (raw.rules, raw.release_id) == ((b"{}",), "r1")
    assert (raw.revision, raw.recorded_at_ms, raw.recorded_print) == (5, 77, "abc")
    assert raw.has_history
    assert not raw.is_deleted


def test_a_deletion_is_known_by_its_entry() -> None:
    history = entry(op=b"delete", at=b"77", print=b"abc")
    raw = parse_route(KEYS, "chat", [*EMPTY[:5], history])
    assert raw.is_deleted
    assert raw.is_empty
    assert raw.has_history


@pytest.mark.parametrize("position", range(6))
def test_each_key_of_another_type_is_noticed(position: int) -> None:
    replies = list(EMPTY)
    replies[position] = WRONG
    raw = parse_route(KEYS, "chat", replies)
    found = [raw.route, raw.versions, raw.weights, raw.rules, raw.release_id, raw.history_problem]
    assert [isinstance(one, Unreadable) for one in found] == [i == position for i in range(6)]
    assert raw.is_readable == (position > 3)


@pytest.mark.parametrize(
    "history",
    [
        entry(b"1700000000000-0", hello=b"world"),
        entry(at=b"77"),
        entry(at=b"now", print=b"abc"),
        entry(at=b"9" * 5000, print=b"abc"),
        entry(at=b"9" * 18, print=b"abc"),
        entry(at="²".encode(), print=b"abc"),
        entry(),
    ],
)
def test_an_entry_that_is_not_ours_is_no_history(history: object) -> None:
    raw = parse_route(KEYS, "chat", [*EMPTY[:5], history])
    assert not raw.has_history
    assert raw.revision == 0
    assert raw.history_problem is not None
    assert "XDEL gray:route:chat:history" in raw.history_problem.text


def test_a_history_whose_numbers_are_used_up_says_how_to_begin_anew() -> None:
    history = entry(b"18446744073709551615-1", at=b"77", print=b"abc")
    raw = parse_route(KEYS, "chat", [*EMPTY[:5], history])
    assert raw.history_problem is not None
    assert "DEL gray:route:chat:history" in raw.history_problem.text


async def test_a_set_of_routes_gone_wild_is_refused_as_a_whole_and_fills_no_log() -> None:
    many = [b"r%d" % number for number in range(MAX_ROUTES + 1)]
    names, [problem] = await read_route_names(Answers(many), KEYS)
    assert (names, problem.reason) == (None, "too_large")
    names, problems = await read_route_names(
        Answers([b"chat", *(b"a %d" % n for n in range(99))]), KEYS
    )
    assert names == frozenset(["chat"])
    assert len(problems) == MAX_FINDINGS


words = st.binary(max_size=30)


@given(words, st.lists(st.tuples(words, words), max_size=4), words)
def test_no_entry_of_a_stream_makes_reading_fail(
    name: bytes, pairs: list[tuple[bytes, bytes]], release_id: bytes
) -> None:
    number = b"%d-%d" % (len(name), len(pairs))  # the store itself makes sure of this much
    history = [[number, [word for pair in pairs for word in pair]]]
    raw = parse_route(KEYS, "chat", [*EMPTY[:4], release_id, history])
    assert isinstance(raw.release_id, str)


def test_what_keeps_a_key_from_being_read_is_said() -> None:
    assert unreadable(WRONG, "k", "set").reason == "wrong_type"
    assert unreadable(DENIED, "k", "set").text == (
        "the store's user may not read k: no permissions"
    )
    other = unreadable(StoreError("ERR something"), "k", "set")
    assert (other.reason, other.text) == ("not_readable", "k cannot be read: ERR something")
