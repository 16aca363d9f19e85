from __future__ import annotations

import pytest

from loadtests.clients import HELD, Outcome
from loadtests.peers import all_peers
from loadtests.report import Measured, figure, report, spread


def outcome(seconds: float, failed: int = 0) -> Outcome:
    return Outcome(done=1000, failed=failed, seconds=1.0, workers_cpu=seconds, workers_user=0.5)


def measured() -> Measured:
    """Two rounds; the machine was twice as slow in the second."""
    both = Measured(
        versions={"graygate": "1", "nginx": "2", "direct": "-"}, rounds=2, seconds=1.0, busy=0.0
    )
    for number, slowness in enumerate((1, 2)):
        both.add("post", "graygate", number, outcome(0.060 * slowness))
        both.add("post", "nginx", number, outcome(0.030 * slowness))
        both.add("post", "direct", number, outcome(0.0))
    return both


def test_figures_are_microseconds_each() -> None:
    assert figure("post", outcome(0.030)) == pytest.approx(30.0)
    held = Outcome(done=HELD, grown_bytes=HELD * 2048)
    assert figure("idle", held) == 2.0
    assert figure("attacked", Outcome(done=1, grown_bytes=3 * 2**20)) == 3.0


def test_ratios_are_made_within_a_round() -> None:
    assert measured().ratios("post", "graygate", "nginx") == [2.0, 2.0]


def test_a_round_in_which_much_failed_gives_no_figure_and_is_told() -> None:
    both = measured()
    both.add("post", "graygate", 1, outcome(0.001, failed=7))
    assert both.figures("post", "graygate") == {0: pytest.approx(60.0)}
    assert both.ratios("post", "graygate", "nginx") == [2.0]
    assert "(7 failed)" in report(both)


def test_a_round_with_a_single_failure_counts_and_the_failure_is_told() -> None:
    both = measured()
    both.add("post", "nginx", 1, Outcome(done=5000, failed=1, seconds=1.0, workers_cpu=0.3))
    assert len(both.figures("post", "nginx")) == 2
    assert "(1 failed)" in report(both)


def test_nothing_done_is_no_figure() -> None:
    both = measured()
    both.add("post", "nginx", 1, Outcome())
    assert len(both.figures("post", "nginx")) == 1


def test_one_case_can_be_compared_with_another() -> None:
    both = measured()
    for number in range(2):
        both.add("fresh", "graygate", number, outcome(0.090 * (number + 1)))
    assert both.ratios("fresh", "graygate", "graygate", "post") == [1.5, 1.5]
    assert "The gateway, `fresh` to `post`: 1.50 / 1.50 / 1.50." in report(both)


def test_the_compiled_gateway_is_set_beside_the_pure_one_and_the_others() -> None:
    both = measured()
    assert "compiled" not in report(both)
    both.versions["graygate-compiled"] = "1, compiled"
    for number, slowness in enumerate((1, 2)):
        both.add("post", "graygate-compiled", number, outcome(0.045 * slowness))
    _, _, table = report(both).partition("## The compiled gateway's use, as a multiple of theirs")
    heads, _, row = table.strip().splitlines()[:3]
    assert [cell.strip() for cell in heads.split("|")[2:4]] == ["graygate", "nginx"]
    assert [cell.strip()[:4] for cell in row.split("|")[2:4]] == ["0.75", "1.50"]


def test_no_proxy_is_shown_for_its_rate_only() -> None:
    row = next(row for row in report(measured()).splitlines() if row.startswith("| direct"))
    assert [cell.strip() for cell in row.split("|")[2:5]] == ["-", "-", "1,000"]


def test_a_spread_is_least_median_most() -> None:
    assert spread([3.0, 1.0, 2.5]) == "1.00 / 2.50 / 3.00"
    assert spread([]) == "-"


def test_the_report_says_what_machine_and_which_versions() -> None:
    text = report(measured())
    assert "graygate 1, nginx 2" in text
    assert "cores" in text


def test_the_gateway_is_measured_as_it_comes_without_its_log_and_compiled() -> None:
    assert list(all_peers())[:3] == ["graygate", "graygate-nolog", "graygate-compiled"]
    assert {name: peer.name for name, peer in all_peers().items()} == {
        name: name for name in all_peers()
    }
