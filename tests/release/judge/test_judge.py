from __future__ import annotations

from math import isclose
from random import Random

import msgspec
import pytest

from gateway.metrics.strata import MOST_BAD_UNITS, CellCounts, EventCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.memory import JudgeState
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Arm, EventPair, Stratum
from gateway.state.strata import Batch
from tests.release.judge.parts import (
    QUIET,
    START,
    answers,
    gatherer,
    judged,
    timed_baseline,
    traffic,
)

SETTINGS = JudgeSettings(warmup_seconds=0, warmup_requests=1)
BY_UNIT = JudgeSettings(unit="unit")


def e_of(judge: Judge) -> dict[str, float]:
    return {f.name: f.e for f in judge.evidence(START + 1.0, 10.0).families}


def judge_of(*strata: Stratum, settings: JudgeSettings = SETTINGS) -> Judge:
    judge = Judge(settings, QUIET)
    for stratum in strata:
        judge.observe(stratum)
    return judge


def test_a_candidate_that_fails_is_to_be_rolled_back() -> None:
    judge = judge_of(*[answers(START + n, (2, 2), (198, 0), 0.01) for n in range(3)])
    assert judge.alarms_of("errors") == (True, True)
    evidence = judge.evidence(START + 3.0, 1.0)
    assert evidence.must_roll_back
    assert evidence.causes == ("errors",)
    assert evidence.verdict == "fail"
    assert evidence.span_seconds == 3


def test_equal_versions_are_not_blamed_for_a_common_outage() -> None:
    dice, judge = Random(3), Judge(SETTINGS, QUIET)
    for second in range(300):
        rate = 0.2 if 100 <= second < 200 else 0.001
        bad = [sum(dice.random() < rate for _ in range(n)) for n in (20, 180)]
        judge.observe(answers(START + second, (20, bad[0]), (180, bad[1])))
        assert judge.alarms_of("errors") == (False, False)


def test_the_order_of_strata_makes_no_difference() -> None:
    batches = traffic(Random(1), 60, candidate_bad=0.03)
    gather = gatherer(SETTINGS, timed_baseline("total"))
    strata = []
    for one in batches:
        gather.add(one)
        strata += gather.close(one.sent + 1)
    found = []
    for seed in (0, 1, 2):
        shuffled = list(strata)
        if seed:
            Random(seed).shuffle(shuffled)
        judge = Judge(SETTINGS, timed_baseline("total"))
        for stratum in shuffled:
            judge.observe(stratum)
        found.append(e_of(judge))
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        assert all(isclose(other[name], found[0][name], rel_tol=1e-9) for name in other)


def test_it_goes_on_from_a_stored_state_as_if_nothing_had_happened() -> None:
    baseline = timed_baseline("total", "gap")
    straight, broken = Judge(SETTINGS, baseline), Judge(SETTINGS, baseline)
    gather = gatherer(SETTINGS, baseline)
    for one in traffic(Random(2), 30, candidate_bad=0.03, factor=1.2):
        gather.add(one)
        for stratum in gather.close(one.sent + 1):
            straight.observe(stratum)
            broken.observe(stratum)
        stored = msgspec.msgpack.encode(broken.state())
        broken = Judge(SETTINGS, baseline, msgspec.msgpack.decode(stored, type=JudgeState))
    assert broken.state() == straight.state()
    now = START + 40.0
    assert broken.evidence(now, 10.0) == straight.evidence(now, 10.0)


def test_a_copy_of_the_state_is_not_changed_by_what_comes_after() -> None:
    judge = judge_of(answers(START, (20, 1), (180, 0)))
    state = judge.state()
    judge.observe(answers(START + 1, (20, 1), (180, 0)))
    assert state.candidate_requests == 20
    assert "40 against 360 requests" in repr(judge)


def test_evidence_is_kept_when_the_weight_changes() -> None:
    judge = judge_of(*[answers(START + n, (2, 1), (198, 0), 0.01) for n in range(3)])
    before = e_of(judge)["errors"]
    judge.observe(answers(START + 4, (100, 0), (100, 0), 0.5))
    assert e_of(judge)["errors"] == before


def judge_of_refused(settings: JudgeSettings) -> Judge:
    judge = Judge(settings, QUIET)
    for second in range(20):
        judge.observe(
            Stratum(
                second=START + second,
                weight=0.1,
                candidate=Arm(finished=20, client_errors=10),
                stable=Arm(finished=180, client_errors=2),
            )
        )
    return judge


def test_refused_requests_are_a_family_that_can_only_hold() -> None:
    judge = judge_of_refused(SETTINGS)
    assert judge.alarms_of("client-errors") == (True, False)
    evidence = judge.evidence(START + 21.0, 10.0)
    assert evidence.must_hold
    assert not evidence.must_roll_back
    assert evidence.causes == ("client-errors",)


def test_where_units_stay_refused_requests_hold_nothing() -> None:
    assert judge_of_refused(BY_UNIT).alarms_of("client-errors") == (False, False)


def events(second: int, family: str, candidate_bad: int, stable_bad: int) -> Stratum:
    pair = EventPair(
        family=family, candidate_n=20, candidate_bad=candidate_bad,
        stable_n=20, stable_bad=stable_bad, bad_seconds=int(candidate_bad > 0),
    )  # fmt: skip
    return Stratum(second=second, weight=0.5, events=(pair,))


@pytest.mark.parametrize("family", ["shadow", "feedback"])
def test_what_people_or_a_shadow_say_can_roll_back(family: str) -> None:
    judge = judge_of(*[events(START + n, family, 9, 2) for n in range(10)])
    assert judge.alarms_of(family) == (True, True)
    assert judge.alarms_of("errors") == (False, False)


def test_a_family_of_ones_own_rolls_back_only_with_a_share() -> None:
    strata = [events(START + n, "refusals", 9, 2) for n in range(10)]
    assert judge_of(*strata).alarms_of("refusals") == (True, False)
    weights = {"errors": 0.5, "refusals": 0.5}
    charged = judge_of(*strata, settings=JudgeSettings(family_weights=weights))
    assert charged.alarms_of("refusals") == (True, True)


def test_a_margin_makes_a_family_lenient() -> None:
    strata = [events(START + n, "shadow", 4, 2) for n in range(20)]
    lenient = judge_of(*strata, settings=JudgeSettings(rate_margins={"shadow": 2.5}))
    assert judge_of(*strata).alarms_of("shadow")[0]
    assert lenient.alarms_of("shadow") == (False, False)


def test_noise_that_stable_has_by_itself_slows_the_errors_down() -> None:
    noisy = Judge(SETTINGS, Baseline(noise=8.0))
    for n in range(3):
        noisy.observe(answers(START + n, (2, 2), (198, 0), 0.01))
    assert noisy.alarms_of("errors") == (False, False)
    for n in range(3, 20):
        noisy.observe(answers(START + n, (2, 2), (198, 0), 0.01))
    assert noisy.alarms_of("errors") == (True, True)


def test_a_slower_candidate_is_found_by_its_latency() -> None:
    judge = judged(SETTINGS, timed_baseline("total"), traffic(Random(4), 60, factor=1.6))
    assert judge.alarms_of("latency") == (True, True)
    assert judge.alarms_of("errors") == (False, False)


def test_a_hanging_candidate_is_found_though_nothing_of_it_ever_ends() -> None:
    batches = traffic(Random(5), 30)
    for one in batches:
        one.cells[0].finished = one.cells[0].bad = one.cells[0].client_errors = 0
        one.cells[0].total = {}
    judge = judged(SETTINGS, timed_baseline("total"), batches)
    assert judge.alarms_of("latency") == (True, True)


def test_silence_is_noticed_after_a_clock_that_was_ahead() -> None:
    judge = judge_of(answers(START + 3600, (20, 0), (180, 0)))
    judge.evidence(START + 0.0, 10.0)
    told = judge.evidence(START + 600.0, 10.0)
    assert any("no request" in one for one in told.missing)


# Units.


def units(second: int, candidate: list[int], stable: list[int], weight: float = 0.1) -> Stratum:
    """The units that had a bad answer on both versions."""
    return Stratum(
        second=second,
        weight=weight,
        candidate=Arm(
            finished=20, bad=len(candidate), bad_seconds=int(bool(candidate)),
            units=10, bad_units=candidate,
        ),
        stable=Arm(finished=180, bad=len(stable), units=90, bad_units=stable),
    )  # fmt: skip


def test_one_user_who_fails_again_and_again_is_one_failure() -> None:
    strata = [units(START + n, [7], []) for n in range(50)]
    assert judge_of(*strata, settings=BY_UNIT).alarms_of("errors") == (False, False)
    assert judge_of(*strata).alarms_of("errors") == (True, True)


def test_many_users_who_fail_are_many() -> None:
    strata = [units(START + n, [2 * n], []) for n in range(20)]
    judge = judge_of(*strata, settings=BY_UNIT)
    assert judge.alarms_of("errors") == (True, True)
    family = judge.evidence(START + 20.0, 10.0).families[0]
    assert (family.candidate_n, family.candidate_bad, family.stable_n) == (200, 20, 1800)


def test_a_user_may_fail_once_in_every_stage() -> None:
    judge = judge_of(units(START, [7], []), settings=BY_UNIT)
    judge.observe(units(START + 1, [7], []))
    judge.observe(units(START + 2, [7], [], weight=0.2))
    family = judge.evidence(START + 3.0, 20.0).families[0]
    assert family.candidate_bad == 2


def test_a_weight_that_moves_by_little_lets_nobody_fail_again() -> None:
    judge = judge_of(units(START, [7], []), settings=BY_UNIT)
    for n in range(1, 20):
        judge.observe(units(START + n, [7], [], weight=0.1 + 0.002 * (n % 3)))
    assert judge.evidence(START + 20.0, 10.0).families[0].candidate_bad == 1


@pytest.mark.parametrize("kind", ["errors", "feedback"])
@pytest.mark.parametrize("seed", range(4))
def test_a_user_who_asks_all_day_and_is_always_content_makes_no_version_look_bad(
    seed: int, kind: str
) -> None:
    """Sixty people, of whom some fail or are unhappy, equally on both; and one robot on stable."""
    dice, robot = Random(seed), 60
    places = [dice.random() < 0.5 for _ in range(60)] + [False]
    gather = Accumulator("chat", "v2", "v1", BY_UNIT, QUIET)
    judge = Judge(BY_UNIT, QUIET)
    gather.split(START, 0.5)
    met: set[int] = set()
    failed: set[int] = set()
    for second in range(START, START + 1200):
        come = [user for user in range(60) if dice.random() < 1 / 60] + [robot]
        bad = {user for user in come if user != robot and dice.random() < 0.1}
        cells, events = [], []
        for version, is_candidate in (("v2", True), ("v1", False)):
            here = [user for user in come if places[user] is is_candidate]
            told = CellCounts(second, "chat", version, arrived=len(here), finished=len(here))
            told.first_units = [user for user in here if user not in met]
            ratings = [(user, user in bad) for user in here]
            if kind == "errors":
                told.bad_units = [user for user in here if user in bad - failed]
                told.bad = len(bad.intersection(here))
                told.units = len([user for user in here if user not in failed])
            elif here:
                counts = (len(here), len(bad.intersection(here)), ratings)
                events.append(EventCounts(second, "chat", version, kind, *counts))
            cells.append(told)
        met.update(come)
        failed |= bad
        gather.add(Batch(f"{second}", "g", second, tuple(cells), tuple(events)))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        assert judge.alarms_of(kind) == (False, False)
    assert judge.evidence(START + 1200.0, 50.0).families


@pytest.mark.parametrize("kind", ["errors", "feedback"])
@pytest.mark.parametrize("seed", range(6))
def test_where_nearly_everybody_is_unhappy_the_small_version_is_not_to_blame(
    seed: int, kind: str
) -> None:
    """As in an outage of both, or where people rate only what they do not like."""
    dice = Random(seed)
    gather = Accumulator("chat", "v2", "v1", BY_UNIT, QUIET)
    judge = Judge(BY_UNIT, QUIET)
    gather.split(START, 0.05)
    for second in range(START, START + 900):
        user, bad = dice.getrandbits(32), dice.random() < 0.95
        version = "v2" if dice.random() < 0.05 else "v1"
        told = CellCounts(second, "chat", version, arrived=1, finished=1, units=1)
        told.first_units = [user]
        events = []
        if kind == "feedback":
            events.append(EventCounts(second, "chat", version, kind, 1, int(bad), [(user, bad)]))
        elif bad:
            told.bad, told.bad_units = 1, [user]
        gather.add(Batch(f"{second}", "g", second, (told,), tuple(events)))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        assert judge.alarms_of(kind)[1] is False


@pytest.mark.parametrize("is_named", [True, False])
def test_in_an_outage_of_both_a_version_with_more_failures_than_names_is_not_the_better_one(
    is_named: bool,
) -> None:
    """For a second or two everybody fails: 2,850 on stable, of whom 1,000 have names."""
    gather = Accumulator("chat", "v2", "v1", BY_UNIT, QUIET)
    judge = Judge(BY_UNIT, QUIET)
    gather.split(START, 0.05)
    for second in range(START + 60, START + 64):
        cells = []
        for version, first, count in (("v2", 0, 150), ("v1", 10_000, 2850)):
            failed = [second * 100_000 + first + n for n in range(count)]
            told = CellCounts(second, "chat", version, arrived=count, finished=count, bad=count)
            told.units = count
            told.bad_units = failed[: MOST_BAD_UNITS if is_named else 10]
            told.more_bad_units = count - len(told.bad_units)
            cells.append(told)
        gather.add(Batch(f"{second}", "g", second, tuple(cells)))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
    assert judge.alarms_of("errors") == (False, False)
    family = judge.evidence(START + 64.0, 5.0).families[0]
    # Where both have more, nothing can be told.
    assert family.candidate_bad == (600 if is_named else 0)


def test_a_late_stratum_of_the_stage_before_begins_no_stage() -> None:
    judge = judge_of(units(START, [7], []), units(START + 5, [8], [], 0.2), settings=BY_UNIT)
    judge.observe(units(START + 1, [9], [], weight=0.1))
    judge.observe(units(START + 6, [8], [], weight=0.2))
    assert judge.evidence(START + 7.0, 20.0).families[0].candidate_bad == 3


def test_who_fails_without_having_been_counted_is_counted() -> None:
    stratum = units(START, [1, 2, 3], [4])
    stratum.candidate.units = 1
    judge = judge_of(stratum, settings=BY_UNIT)
    assert judge.evidence(START + 1.0, 10.0).families[0].candidate_n == 3


# The split.


def split_of(
    judge: Judge, seconds: int, candidate: int, stable: int, *, weight: float = 0.1
) -> bool:
    for second in range(seconds):
        judge.observe(answers(START + second, (candidate, 0), (stable, 0), weight))
    return judge.evidence(START + float(seconds), 100 * weight).srm_alarm


def test_traffic_that_is_not_split_as_the_weights_say_holds() -> None:
    judge = Judge(SETTINGS, QUIET)
    assert split_of(judge, 60, 30, 170)
    evidence = judge.evidence(START + 60.0, 10.0)
    assert evidence.must_hold
    assert not evidence.must_roll_back
    assert not evidence.may_promote_to(1.0)
    assert "not split" in evidence.why


def test_traffic_that_is_split_well_is_no_alarm() -> None:
    assert not split_of(Judge(SETTINGS, QUIET), 600, 20, 180)


def test_an_alarm_of_the_split_ends_when_it_is_mended() -> None:
    judge = Judge(SETTINGS, QUIET)
    assert split_of(judge, 10, 45, 155)
    assert not split_of(judge, 2000, 20, 180)


def test_seconds_around_a_change_of_weight_do_not_count_for_the_split() -> None:
    judge = Judge(SETTINGS, QUIET)
    for second in range(100):
        stratum = answers(START + second, (100, 0), (100, 0))
        stratum.is_split_known = False
        judge.observe(stratum)
    assert not judge.evidence(START + 100.0, 10.0).srm_alarm


def test_units_that_come_back_are_no_draws_of_the_split() -> None:
    judge = Judge(BY_UNIT, QUIET)
    assert not split_of(judge, 100, 100, 100)
    assert any("split" in what for what in judge.evidence(START + 1.0, 10.0).missing)


# A probe.


def test_after_a_mark_only_new_evidence_is_fresh() -> None:
    judge = judged(SETTINGS, timed_baseline("total"), traffic(Random(8), 40, factor=2.0))
    for n in range(3):
        judge.observe(answers(START + n, (2, 2), (198, 0), 0.01))
    judge.mark()
    fresh = {f.name: f.fresh_e for f in judge.evidence(START + 60.0, 1.0).families}
    assert fresh["errors"] == pytest.approx(1.0)
    assert fresh["latency"] == pytest.approx(1.0)
    judge.observe(answers(START + 9, (2, 2), (198, 0), 0.01))
    again = {f.name: f.fresh_e for f in judge.evidence(START + 60.0, 1.0).families}
    assert again["errors"] > 20.0
