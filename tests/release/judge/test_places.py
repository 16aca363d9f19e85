"""What is known of where those stand who have failed."""

from __future__ import annotations

from math import log
from random import Random

from gateway.release.judge import places as judged
from gateway.release.judge.places import Came, Places

SHARES = (0.01, 0.05, 0.25, 0.1, 0.5, 0.07, 0.95, 0.3)


def at(share: float, *, is_candidate: bool, least: float | None = None) -> Came:
    return Came(is_candidate, share, share if least is None else least, is_before=False)


def learnt(*told: Came) -> Places:
    places = Places()
    for came in told:
        places.learn([1], came)
    return places


def test_who_has_failed_on_stable_is_on_the_candidate_with_the_chance_that_is_left() -> None:
    places = learnt(at(0.2, is_candidate=False))
    assert places.part(1, at(0.6, is_candidate=True)) == 500_000
    assert places.part(1, at(0.6, is_candidate=False)) == 500_000


def test_who_has_failed_on_the_candidate_stays_there_while_its_share_grows() -> None:
    places = learnt(at(0.2, is_candidate=True))
    assert places.part(1, at(0.6, is_candidate=True)) == 1_000_000
    assert places.part(1, at(0.05, is_candidate=True)) == 250_000


def test_each_failure_tells_more_of_the_place() -> None:
    places = learnt(at(0.2, is_candidate=False), at(0.6, is_candidate=True))
    assert places.known == {1: (200_000, 600_000)}
    assert places.part(1, at(0.3, is_candidate=False)) == 250_000


def test_nothing_is_learnt_of_one_who_is_where_he_cannot_be() -> None:
    places = learnt(at(0.2, is_candidate=False))
    assert places.part(1, at(0.1, is_candidate=True)) == 1_000_000
    places.learn([1], at(0.1, is_candidate=True))
    assert places.known == {1: (0, 100_000)}
    assert places.part(1, at(0.5, is_candidate=False)) == 0
    places.learn([1], at(0.5, is_candidate=False))
    assert places.known == {1: (500_000, 1_000_000)}


def test_a_candidate_with_all_or_nothing_tells_nothing_of_who_is_elsewhere() -> None:
    places = learnt(at(1.0, is_candidate=False))
    assert places.part(1, at(0.25, is_candidate=True)) == 250_000
    places = learnt(at(0.0, is_candidate=True))
    assert places.part(1, at(0.25, is_candidate=True)) == 250_000
    places = learnt(at(0.2, is_candidate=True), at(0.0, is_candidate=True))
    assert places.known == {1: (0, 200_000)}


def test_while_the_share_changes_a_place_is_what_either_of_them_allows() -> None:
    both = [at(0.25, least=0.05, is_candidate=is_candidate) for is_candidate in (True, False)]
    assert [learnt(came).known[1] for came in both] == [(0, 250_000), (50_000, 1_000_000)]


def test_however_often_one_fails_he_tells_of_no_more_than_one_place() -> None:
    """All together the chances of what was seen are those of the bounds that are left."""
    dice = Random(3)
    for _ in range(200):
        where, places, chance = dice.random(), Places(), 0.0
        for number in range(20):
            share = dice.choice(SHARES)
            came = at(share, is_candidate=where < share)
            part = places.part(1, came) / 1e6 if number else share
            chance += log(part if came.is_candidate else 1 - part)
            places.learn([1], came)
        low, high = places.known[1]
        assert low <= 1e6 * where <= high
        assert abs(chance - log((high - low) / 1e6)) < 0.001


def test_memory_is_bounded_by_leaving_out_half_of_all_units() -> None:
    dice, places = Random(1), Places()
    for _ in range(3 * judged.MOST_PLACES):
        places.learn([dice.getrandbits(32)], at(0.5, is_candidate=True))
    assert len(places.known) <= judged.MOST_PLACES
    assert places.mask in (3, 7)
    assert not any(unit & places.mask for unit in places.known)
