"""The Grafana dashboard asks for what there is, in PromQL that can be parsed, on a tidy grid."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from tests.deploy.dashboard import DASHBOARD, asked, panels, queries
from tests.deploy.rules import exposed_names, promtool, records, used_names

_SCHEMA = 39  # Grafana 10.4 and newer; older ones are upgraded when they are loaded


def test_it_is_a_dashboard_of_a_schema_that_grafana_knows() -> None:
    assert DASHBOARD["schemaVersion"] == _SCHEMA
    assert re.fullmatch(r"[a-z0-9-]{1,40}", DASHBOARD["uid"])
    assert "id" not in DASHBOARD  # of the Grafana that it came from
    assert DASHBOARD["title"] == "Graygate"


def test_every_series_that_it_asks_for_is_exposed_or_recorded() -> None:
    known = exposed_names() | records().keys()
    for place, expression in queries():
        names = used_names(expression)
        assert names or expression.startswith("ALERTS{"), place
        assert names <= known, (place, names - known)


@pytest.mark.debian
def test_promtool_can_parse_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": asked(expression)}
        for number, (_, expression) in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"  # JSON is YAML too
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_nothing_but_its_own_variables_is_left_open() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job", "route", "version"}
    known = variables | {"__rate_interval"}
    text = json.dumps([DASHBOARD["panels"], DASHBOARD["annotations"]])
    assert set(re.findall(r"\$\{?([a-zA-Z_]+)", text)) <= known


def test_each_query_goes_to_the_data_source_that_was_chosen() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        for part in (panel, *panel.get("targets", [])):
            if panel["type"] != "row":
                assert part["datasource"] == chosen, panel["title"]
    for variable in DASHBOARD["templating"]["list"]:
        assert variable["type"] == "datasource" or variable["datasource"] == chosen


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    places = [(panel["title"], panel["gridPos"]) for panel in DASHBOARD["panels"]]
    for title, place in places:
        assert place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= 24, title
    for (title, one), (other_title, other) in combinations(places, 2):
        is_apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert is_apart, (title, other_title)


def test_every_panel_says_what_it_shows_and_titles_are_unique() -> None:
    shown = [panel for panel in panels() if panel["type"] != "row"]
    assert all(panel["description"].endswith(".") for panel in shown)
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)


def test_versions_are_compared_in_everything_that_they_are_judged_by() -> None:
    text = "\n".join(expression for _, expression in queries())
    for name in records():
        if name.startswith("job_route_version:") and name.endswith("rate5m"):
            assert name in text, name
    for name in (
        *("graygate_split_weight_ratio", "graygate_routing_decisions_total"),
        *("graygate_requests_in_flight", "graygate_endpoint_healthy"),
        *("graygate_snapshot_age_seconds", "graygate_redis_up", "graygate_config_revision"),
    ):
        assert name in text, name


def test_changes_of_the_configuration_are_marked_on_every_chart() -> None:
    notes = {note["name"]: note for note in DASHBOARD["annotations"]["list"]}
    assert notes["Revisions"]["enable"]
    assert "changes(graygate_config_revision{" in notes["Revisions"]["expr"]
