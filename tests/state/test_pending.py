"""What was done by hand waits until the history tells it, and no longer."""

from __future__ import annotations

from gateway.state.history import Delta
from gateway.state.pending import Pending

V2 = "route/chat/whitelist/v2"


def ids(*words: str) -> frozenset[bytes]:
    return frozenset(word.encode() for word in words)


def waiting(*deltas: Delta) -> Pending:
    pending = Pending(2)
    for delta in deltas:
        pending.add(V2, delta)
    return pending


def test_many_ids_wait_in_portions_and_each_is_given_out_once() -> None:
    pending = waiting(Delta(ids("a", "b", "c")))
    assert repr(pending) == f"<Pending {V2}: 2>"
    first = pending.next_of("chat")[V2]
    pending.account(V2, first)
    second = pending.next_of("chat")[V2]
    assert first.added | second.added == ids("a", "b", "c")
    assert not first.added & second.added
    pending.settle(V2, second)
    assert not pending
    pending.settle(V2, second)


def test_what_undoes_a_change_that_waits_is_no_change_at_all() -> None:
    assert not waiting(Delta(ids("a")), Delta(removed=ids("a")))
    assert not waiting(Delta(removed=ids("a")), Delta(ids("a")))
    rest = waiting(Delta(ids("a", "b")), Delta(removed=ids("a", "c")))
    assert rest.next_of("chat") == {V2: Delta(ids("b"), ids("c"))}
    assert not waiting(Delta())


def test_an_entry_about_an_id_says_how_it_stands_now() -> None:
    pending = waiting(Delta(ids("a"), ids("b")))
    pending.account(V2, Delta(ids("b"), ids("a")))
    assert not pending


def test_a_change_in_unknown_ways_waits_for_an_entry_that_says_so() -> None:
    pending = waiting(Delta(is_unknown=True))
    pending.account(V2, Delta(ids("a")))
    assert pending.routes == {"chat"}
    pending.account(V2, Delta(is_unknown=True))
    assert not pending
