"""The rules are right by promtool, tested whole, and lead whoever is woken to the runbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.rules import (
    ALERTS,
    DEPLOY,
    FOLDER,
    RECORDING,
    alerts,
    exposed_names,
    hurried,
    promtool,
    records,
    used_names,
)

UNIT_TESTS = sorted((FOLDER / "tests").glob("*.yml"))
TESTED = "".join(file.read_text() for file in UNIT_TESTS)


@pytest.mark.debian
@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_the_rules_pass_their_unit_tests(file: Path) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.debian
def test_the_sample_configuration_and_its_rules_are_valid() -> None:
    done = promtool("check", "config", FOLDER / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(records())} rules found" in done.stdout
    assert f"{len(alerts())} rules found" in done.stdout


@pytest.mark.debian
def test_the_rules_in_a_hurry_are_valid_too(tmp_path: Path) -> None:
    for file in (RECORDING, ALERTS):
        (tmp_path / file.name).write_text(hurried(file.read_text()))
        done = promtool("check", "rules", tmp_path / file.name)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_hurry_changes_durations_and_nothing_else() -> None:
    assert hurried("expr: x:rate5m{a='5m'} + rate(y[5m]) > 600") == (
        "expr: x:rate5m{a='5m'} + rate(y[5s]) > 600"
    )
    assert hurried("        for: 5m\n") == "        for: 5s\n"
    assert hurried("graygate_snapshot_age_seconds > 600") == "graygate_snapshot_age_seconds > 10"


def test_every_series_that_a_rule_needs_is_exposed_or_recorded() -> None:
    known = exposed_names() | records().keys()
    for name, body in (records() | alerts()).items():
        expression = re.split(r"^ +(?:for|labels):", body, flags=re.M)[0]
        assert used_names(expression) <= known, name
        assert used_names(expression) or "up{" in expression, name


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    for name in alerts():
        cases = re.findall(rf"^      - alertname: {name}\n((?:        .*\n)*)", TESTED, flags=re.M)
        fires = ["exp_alerts" in case for case in cases]
        assert any(fires), f"{name} never fires in a unit test"
        assert not all(fires), f"{name} is never quiet in a unit test"


def test_every_recording_rule_has_its_value_tested_or_is_part_of_one_that_has() -> None:
    tested = used_names("\n".join(re.findall(r"- expr: (.*)", TESTED)))
    bodies = records()
    todo = [*tested, *used_names("".join(alerts().values()))]
    reached: set[str] = set()
    while todo:
        name = todo.pop()
        if name in bodies and name not in reached:
            reached.add(name)
            todo += used_names(bodies[name])
    assert reached == bodies.keys()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_where_to_read_on(name: str) -> None:
    body = alerts()[name]
    assert re.search(r"^ +severity: (critical|warning|info)$", body, re.M)
    assert re.search(r"^ +area: (release|endpoints|store|process)$", body, re.M)
    assert re.search(r'^ +summary: ".+"$', body, re.M)
    assert re.search(r'^ +description: ".+\."$', body, re.M)
    assert f"runbook_url: deploy/runbook.md#{name.lower()}\n" in body + "\n"


def test_the_runbook_has_a_section_for_each_alert_and_for_nothing_else() -> None:
    text = (DEPLOY / "runbook.md").read_text()
    assert re.findall(r"^### (Graygate\w+)$", text, re.M) == list(alerts())
    for section in re.split(r"^### ", text, flags=re.M)[1:]:
        for part in ("**Means**", "**See**", "**Do**"):
            assert part in section, section.splitlines()[0]
