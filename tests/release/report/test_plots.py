from __future__ import annotations

import re
from xml.etree import ElementTree

import msgspec
import pytest

from gateway.release.report.model import Point, Report
from gateway.release.report.plots import ratio_plot, weight_plot
from tests.release.machine.story import START, evidence, family
from tests.release.report.reports import NASTY, report


def shapes(picture: str, kind: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(picture).iter() if e.get("class") == kind]


def test_the_plan_and_what_happened_are_drawn_on_one_axis() -> None:
    picture = weight_plot(report())
    (plan,), (happened,) = shapes(picture, "planned"), shapes(picture, "actual")
    # 1 percent is drawn at the same height in both.
    assert "V210.0" not in str(plan.get("d"))
    assert str(plan.get("d")).startswith("M")
    assert str(happened.get("d")).count("V") == 3


def test_each_decision_is_a_dot_with_its_words() -> None:
    told = report()
    dots = shapes(weight_plot(told), "decision")
    assert len(dots) == len(told.decisions)
    assert "started" in str(dots[0][0].text)


@pytest.mark.parametrize(
    "change",
    [
        {"planned": (), "actual": (Point(START, 0.0),), "decisions": ()},
        {"ended_at": START},
        {"ended_at": START - 1000},
        {"made_at": START - 5, "ended_at": None},
        {"actual": (Point(START, 500.0), Point(START + 9, -4.0))},
    ],
)
def test_odd_times_and_weights_stay_inside_the_picture(change: dict[str, object]) -> None:
    odd: Report = msgspec.structs.replace(report(), **change)
    picture = ElementTree.fromstring(weight_plot(odd))
    numbers = [
        float(n) for e in picture.iter("path") for n in re.findall(r"-?[0-9.]+", str(e.get("d")))
    ]
    assert all(0 <= number <= 760 for number in numbers)


def test_an_interval_is_drawn_from_end_to_end_and_sticks_to_the_edge() -> None:
    wide = family(estimate=1.0, low=0.0, high=float("inf"))
    (line,) = shapes(ratio_plot(report(evidence={0: evidence(wide)})), "interval")
    assert (line.get("x1"), line.get("x2")) == ("190.0", "748.0")


def test_an_unknown_estimate_has_no_dot() -> None:
    picture = ratio_plot(report(evidence={0: evidence(family(low=0.5, high=2.0))}))
    assert (len(shapes(picture, "interval")), shapes(picture, "estimate")) == (1, [])


def test_names_are_escaped_in_pictures() -> None:
    nasty = evidence(family(NASTY, estimate=1.0, low=0.5, high=2.0))
    assert ElementTree.fromstring(ratio_plot(report(evidence={0: nasty}))) is not None
