"""What is in force at one moment cannot change under its reader."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.routing.lists import TableBuilder
from gateway.state.snapshot import MemberList, Refusal, Snapshot

V2 = "route/chat/whitelist/v2"


def packed(*ids: bytes) -> MemberList:
    builder = TableBuilder(len(ids))
    builder.add(ids)
    while not builder.settle():
        pass
    return MemberList(V2, builder.finish(), 1)


def test_a_list_without_changes_is_asked_directly() -> None:
    for members in (MemberList(V2, frozenset([b"a", b"b"]), 1), packed(b"a", b"b")):
        assert members.container is members.base
        assert b"a" in members.container
        assert len(members) == 2


def test_changes_lie_on_top_of_a_packed_list() -> None:
    members = dataclasses.replace(
        packed(b"a", b"b", b"c"), added=frozenset([b"x"]), removed=frozenset([b"a", b"b"])
    )
    assert [unit in members.container for unit in (b"a", b"b", b"c", b"x")] == [False] * 2 + [
        True
    ] * 2
    assert len(members) == 2


def test_an_empty_snapshot_stands_for_knowing_nothing() -> None:
    nothing = Snapshot()
    assert nothing.sequence == 0
    assert not nothing.routes
    assert not nothing.lists


def test_nobody_changes_a_snapshot() -> None:
    with pytest.raises(TypeError):
        Snapshot().routes["chat"] = None  # type: ignore[index]  # that is the point
    with pytest.raises(dataclasses.FrozenInstanceError):
        Snapshot().sequence = 5  # type: ignore[misc]  # that is the point


def test_equal_refusals_are_one() -> None:
    assert len({Refusal("a", "k", "r", "t"), Refusal("a", "k", "r", "t")}) == 1
