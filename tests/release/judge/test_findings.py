from __future__ import annotations

from random import Random

import msgspec
import pytest

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.evidence import Evidence, MetricVerdict
from gateway.release.judge.findings import noise_of
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import EventPair, Stratum
from tests.release.judge.parts import QUIET, START, answers, judged, timed_baseline, traffic

SETTINGS = JudgeSettings(
    family_weights={"errors": 0.5, "shadow": 0.25, "feedback": 0.25}, latency_margins={}
)


def good(requests: int = 4000, settings: JudgeSettings = SETTINGS) -> Judge:
    judge = Judge(settings, QUIET)
    for second in range(requests // 20):
        judge.observe(answers(START + second, (20, 0), (180, 0)))
    return judge


def test_where_users_stay_and_no_request_names_one_it_is_said() -> None:
    judge = good(settings=msgspec.structs.replace(SETTINGS, unit="unit"))
    assert any("no request names its user" in one for one in judge.evidence(START, 10.0).missing)
    named = answers(START + 300, (20, 0), (180, 0))
    named.stable.units = 1
    judge.observe(named)
    missing = judge.evidence(START, 10.0).missing
    assert not any("no request names its user" in one for one in missing)


def test_nothing_observed_is_no_data_and_holds() -> None:
    evidence = Judge(SETTINGS, QUIET).evidence(START, 10.0)
    assert evidence.verdict == "no-data"
    assert evidence.must_hold
    assert not evidence.may_promote_to(1.0)
    assert evidence.missing[:2] == ("candidate: no request yet", "stable: no request yet")


def test_no_evidence_at_all_is_no_data() -> None:
    evidence = Evidence(at=0.0)
    assert (evidence.verdict, evidence.must_hold) == ("no-data", True)
    assert not evidence.may_promote_to(0.1)


def test_a_few_requests_prove_nothing() -> None:
    judge = Judge(SETTINGS, QUIET)
    judge.observe(answers(START, (5, 0), (45, 0)))
    evidence = judge.evidence(START + 1.0, 10.0)
    assert evidence.verdict == "inconclusive"
    assert evidence.promotable_weight < 10.0
    assert "not yet shown" in evidence.why or "up to a weight" in evidence.why


def test_many_good_ones_show_that_it_does_no_harm() -> None:
    evidence = good().evidence(START + 200.0, 10.0)
    assert evidence.verdict == "pass"
    assert evidence.promotable_weight == 100.0
    assert evidence.may_promote_to(100.0)
    assert not evidence.must_hold
    assert (evidence.candidate_requests, evidence.stable_requests) == (4000, 36_000)


def test_a_candidate_that_may_not_have_more_than_it_has_is_no_pass() -> None:
    judge = Judge(SETTINGS, QUIET)
    for second in range(40):
        judge.observe(answers(START + second, (10, 0), (10, 0), 0.5))
    evidence = judge.evidence(START + 40.0, 50.0)
    assert 0.0 < evidence.promotable_weight < 50.0
    assert evidence.verdict == "inconclusive"


def test_silence_is_no_data_however_good_it_was_before() -> None:
    judge = good()
    evidence = judge.evidence(START + 199 + 61.0, 10.0)
    assert evidence.verdict == "no-data"
    assert evidence.must_hold
    assert "candidate: no request for 61 s" in evidence.missing
    assert judge.evidence(START + 199 + 60.0, 10.0).verdict == "pass"


def test_where_requests_are_rare_silence_takes_longer() -> None:
    judge = Judge(SETTINGS, QUIET)
    for number in range(20):
        judge.observe(answers(START + 30 * number, (1, 0), (1, 0)))
    last = START + 30 * 19
    assert judge.evidence(last + 200.0, 10.0).verdict != "no-data"
    assert judge.evidence(last + 400.0, 10.0).verdict == "no-data"


def test_without_times_of_stable_no_large_weight_is_reached() -> None:
    evidence = good(settings=JudgeSettings()).evidence(START + 200.0, 10.0)
    assert evidence.promotable_weight == 25.0
    assert any(what.startswith("latency: stable's times") for what in evidence.missing)


def test_a_candidate_that_is_as_quick_may_have_all() -> None:
    settings = JudgeSettings(warmup_seconds=0, warmup_requests=1)
    batches = traffic(Random(1), 100, share=0.5, bad=0.0, candidate_bad=0.0)
    judge = judged(settings, timed_baseline("total"), batches)
    evidence = judge.evidence(START + 110.0, 50.0)
    assert evidence.promotable_weight == 100.0


def test_a_candidate_that_is_slower_may_not() -> None:
    settings = JudgeSettings(warmup_seconds=0, warmup_requests=1)
    batches = traffic(Random(1), 60, share=0.5, bad=0.0, candidate_bad=0.0, factor=1.12)
    judge = judged(settings, timed_baseline("total"), batches)
    assert judge.evidence(START + 70.0, 50.0).promotable_weight == 25.0


def test_a_candidate_in_its_first_minute_is_said_to_be_warming_up() -> None:
    judge = judged(JudgeSettings(), timed_baseline("total"), traffic(Random(2), 30))
    missing = judge.evidence(START + 30.0, 10.0).missing
    assert "latency: the candidate is still warming up" in missing


def test_a_family_that_is_switched_off_needs_no_proof() -> None:
    settings = JudgeSettings(family_weights={"feedback": 1.0})
    judge = Judge(settings, QUIET)
    judge.observe(answers(START, (5, 5), (45, 0)))
    assert judge.evidence(START + 1.0, 10.0).promotable_weight == 100.0


def test_families_that_are_loud_together_roll_back_though_none_is_alone() -> None:
    judge = Judge(SETTINGS, QUIET)
    for second in range(3):
        judge.observe(answers(START + second, (10, 1), (90, 0)))
        pair = EventPair(
            family="feedback", candidate_n=10, candidate_bad=1 + (second == 0), stable_n=90,
            bad_seconds=1,
        )  # fmt: skip
        judge.observe(Stratum(second=START + second, weight=0.1, events=(pair,)))
    lenient = JudgeSettings(alpha=1.0 / 90.0, family_weights=SETTINGS.family_weights)
    loud = Judge(lenient, QUIET, judge.state()).evidence(START + 3.0, 10.0)
    own = {f.name: f.e for f in loud.families}
    assert own["errors"] < lenient.rollback_at("errors")
    total = sum(weight * own.get(name, 0.0) for name, weight in lenient.family_weights.items())
    assert loud.must_roll_back == (total >= 90.0 or own["feedback"] >= 360.0)
    quiet = Judge(JudgeSettings(alpha=1e-9), QUIET, judge.state())
    assert not quiet.evidence(START + 3.0, 10.0).must_roll_back


def test_the_sum_says_that_it_is_the_sum() -> None:
    judge = Judge(SETTINGS, QUIET)
    for second in range(3):
        judge.observe(answers(START + second, (10, 1), (90, 0)))
    e = judge.evidence(START + 3.0, 10.0).families[0].e
    # One family alone cannot do it, since its own limit is the same; another adds the rest.
    pair = EventPair(family="feedback", candidate_n=10, candidate_bad=3, stable_n=90, bad_seconds=2)
    judge.observe(Stratum(second=START + 2, weight=0.1, events=(pair,)))
    families = {f.name: f.e for f in judge.evidence(START + 3.0, 10.0).families}
    weights = {"errors": 0.5, "feedback": 0.5}
    total = 0.5 * e + 0.5 * families["feedback"]
    alpha = 1.0 / (total * 0.99)
    settings = JudgeSettings(family_weights=weights, alpha=alpha, latency_margins={})
    evidence = Judge(settings, QUIET, judge.state()).evidence(START + 3.0, 10.0)
    assert evidence.must_roll_back
    assert evidence.must_hold
    assert not any(f.rollback for f in evidence.families)
    assert "all together" in evidence.why


def verdict(verdict: str, action: str = "hold") -> MetricVerdict:
    raw = {"name": "gpu", "verdict": verdict, "action": action}
    return msgspec.convert(raw, type=MetricVerdict)


@pytest.mark.parametrize(
    ("metric", "hold", "rollback"),
    [
        (verdict("pass"), False, False),
        (verdict("inconclusive"), False, False),
        (verdict("no-data"), True, False),
        (verdict("fail"), True, False),
        (verdict("fail", "rollback"), True, True),
        (verdict("no-data", "rollback"), True, False),
    ],
)
def test_metrics_of_the_operators_own_do_what_they_are_told_to(
    metric: MetricVerdict, hold: bool, rollback: bool
) -> None:
    evidence = good().evidence(START + 200.0, 10.0, [metric])
    assert (evidence.must_hold, evidence.must_roll_back) == (hold, rollback)
    assert evidence.metrics == (metric,)
    assert (evidence.verdict == "pass") == (not hold)


def test_a_hold_is_calm_again_below_twenty() -> None:
    judge = Judge(SETTINGS, QUIET)
    for second in range(3):
        judge.observe(answers(START + second, (10, 1), (90, 0)))
    held = judge.evidence(START + 3.0, 10.0).families[0]
    assert held.hold
    assert not held.is_calm
    for second in range(3, 60):
        judge.observe(answers(START + second, (10, 0), (90, 1)))
    calm = judge.evidence(START + 60.0, 10.0).families[0]
    assert calm.is_calm
    assert calm.e < 20.0 < 1.0 / calm.p


def test_noise_that_is_not_known_is_said() -> None:
    evidence = Judge(SETTINGS, Baseline()).evidence(START, 10.0)
    assert any(what.startswith("noise:") for what in evidence.missing)


def test_noise_is_that_of_requests() -> None:
    assert noise_of(JudgeSettings(), Baseline(noise=3.0)) == 3.0
    assert noise_of(JudgeSettings(), Baseline()) == 1.0
    assert noise_of(JudgeSettings(unit="unit"), Baseline(noise=3.0)) == 1.0


def test_evidence_can_be_stored_as_json() -> None:
    judge = Judge(SETTINGS, QUIET)
    for second in range(3):
        judge.observe(answers(START + second, (2, 2), (198, 0), 0.01))
    evidence = judge.evidence(START + 3.0, 1.0, [verdict("fail")])
    stored = msgspec.json.encode(evidence)
    assert msgspec.json.decode(stored, type=Evidence) == evidence
    assert evidence.families[0].high is None  # stable never failed: no upper end is known
