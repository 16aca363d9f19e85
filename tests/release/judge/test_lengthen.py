from __future__ import annotations

import msgspec

from gateway.release.judge.lengthen import Lines
from gateway.release.judge.strata import EventPair


def pair(candidate: int, stable: int) -> EventPair:
    return EventPair(family="feedback", candidate_n=candidate, stable_n=stable)


def test_what_is_large_enough_comes_out_at_once() -> None:
    lines: Lines[EventPair] = Lines()
    (held,) = lines.push("feedback", 7, 0.1, pair(5, 15), 20, 60)
    assert (held.last, held.share, held.counts.size) == (7, 0.1, 20)
    assert not lines.pending


def test_small_seconds_are_put_together_until_they_are_large_enough() -> None:
    lines: Lines[EventPair] = Lines()
    assert lines.push("feedback", 7, 0.1, pair(1, 8), 20, 60) == []
    assert lines.push("feedback", 8, 0.1, pair(2, 8), 20, 60) == []
    (held,) = lines.push("feedback", 9, 0.1, pair(0, 1), 20, 60)
    assert (held.since, held.last) == (7, 9)
    assert (held.counts.candidate_n, held.counts.stable_n) == (3, 17)


def test_kinds_do_not_mix() -> None:
    lines: Lines[EventPair] = Lines()
    lines.push("feedback", 7, 0.1, pair(1, 8), 20, 60)
    assert lines.push("shadow", 7, 0.1, pair(1, 12), 20, 60) == []


def test_a_change_of_weight_ends_a_stratum() -> None:
    lines: Lines[EventPair] = Lines()
    lines.push("feedback", 7, 0.1, pair(1, 8), 20, 60)
    (held,) = lines.push("feedback", 8, 0.2, pair(2, 8), 20, 60)
    assert (held.share, held.counts.size) == (0.1, 9)
    assert lines.pending["feedback"].share == 0.2


def test_after_a_minute_a_small_one_will_do() -> None:
    lines: Lines[EventPair] = Lines()
    lines.push("feedback", 7, 0.1, pair(1, 1), 20, 60)
    assert lines.push("feedback", 65, 0.1, pair(1, 1), 20, 60) == []
    (held,) = lines.push("feedback", 66, 0.1, pair(1, 1), 20, 60)
    assert held.counts.size == 6


def test_what_nothing_follows_comes_out_too() -> None:
    lines: Lines[EventPair] = Lines()
    lines.push("feedback", 7, 0.1, pair(1, 1), 20, 60)
    assert lines.expire(66, 60) == []
    (held,) = lines.expire(67, 60)
    assert held.counts.size == 2
    assert lines.expire(500, 60) == []


def test_it_can_be_stored() -> None:
    lines: Lines[EventPair] = Lines()
    lines.push("feedback", 7, 0.1, pair(1, 1), 20, 60)
    packed = msgspec.msgpack.encode(lines)
    assert msgspec.msgpack.decode(packed, type=Lines[EventPair]) == lines
