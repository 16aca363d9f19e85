"""A real Prometheus takes in all that a running gateway exposes, and finds no fault in it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)

from gateway.metrics.names import ALL, Kind
from tests.deploy.dashboard import asked, queries
from tests.deploy.gateway import Gateway, plant
from tests.deploy.models import Stage
from tests.deploy.prometheus import Prometheus
from tests.deploy.rules import promtool, records, used_names
from tests.servers import Server, Valkey, wait_until

pytestmark = pytest.mark.debian

# What a gateway to which nothing bad happens has no number for.
_QUIET = {
    *(
        "graygate_errors_total",
        "graygate_mirror_failures_total",
        "graygate_telemetry_dropped_total",
    ),
    *("graygate_config_rejected_total", "graygate_config_refused"),
    *("graygate_shadow_pairs_total", "graygate_feedback_total"),
    *("graygate_drill_overdue", "graygate_drill_last_success_timestamp_seconds"),
    "graygate_release_problem",
}
# It stays at its first stage.
_PLAN = {
    "candidate": "v2",
    "mode": "automatic",
    "stages": [{"weight": 50, "hold": 1, "minimum_requests": 10**9}, {"weight": 100}],
}


@pytest.fixture(scope="module")
def own_store() -> Iterator[Server]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(own_store: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers that have answered something for both versions, and a release that runs."""
    with Stage() as stage:
        plant(own_store, "chat", 50, v1=stage.model().url, v2=stage.model().url)
        folder = tmp_path_factory.mktemp("scraped") / "gateway"
        with Gateway(folder, own_store, extra='access_log.path = ""\n') as gateway:
            stage.users(gateway.data_url, "chat", 60)

            def has_counted_both() -> bool:
                text, _ = gateway.metrics()
                answers = 'graygate_requests_total{code="200",route="chat",version="v2"}'
                return answers in text and answers.replace("v2", "v1") in text

            wait_until(has_counted_both, "both versions have answered")
            start_release(gateway, "chat")
            judged = 'graygate_release_evidence{candidate="v2",family="errors",route="chat"}'
            wait_until(lambda: judged in gateway.metrics()[0], "its release is judged")
            yield gateway


def start_release(gateway: Gateway, route: str) -> None:
    request = urllib.request.Request(
        f"{gateway.admin_url}/api/v1/routes/{route}/release",
        data=json.dumps({"plan": _PLAN}).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def test_promtool_finds_no_fault_in_the_exposition(gateway: Gateway) -> None:
    text, content_type = gateway.metrics()
    assert content_type.startswith("text/plain")
    done = promtool("check", "metrics", stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_openmetrics_of_a_working_gateway_can_be_parsed(gateway: Gateway) -> None:
    text, content_type = gateway.metrics("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = {f.name: f for f in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert set(families) == {f"graygate_{series.name}" for series in ALL}
    assert families["graygate_requests"].samples
    assert families["graygate_request_duration_seconds"].samples


def test_prometheus_takes_in_every_series_and_answers_rules_and_dashboard(
    gateway: Gateway, tmp_path: Path
) -> None:
    with Prometheus(tmp_path / "prometheus") as prometheus:
        prometheus.scrape(gateway.admin_url)
        wait_until(lambda: prometheus.value('up{job="graygate"}') == 1, "it is scraped")
        for series in ALL:
            histogram = series.kind is Kind.HISTOGRAM
            name = f"{series.full_name}_bucket" if histogram else series.full_name
            if name not in _QUIET:
                found = prometheus.query(name)
                assert found, name
                ours = {"__name__", "job", "instance", *series.labels, *(["le"] * histogram)}
                # A label that is empty is none.
                assert {label for labels, _ in found for label in labels} <= ours
        for name in records():
            wait_until(lambda name=name: bool(prometheus.query(name)), name, 40)  # type: ignore[misc]
        wanted = prometheus.value('job_route_version:graygate_split_weight:avg10m{version="v2"}')
        drawn = prometheus.value('job_route_version:graygate_drawn:share_increase10m{version="v2"}')
        assert wanted == 0.5
        assert drawn is not None and 0.3 < drawn < 0.7
        assert (
            prometheus.value('job_route:graygate_client_failures:ratio_rate5m{route="chat"}') == 0
        )
        for place, expression in queries():
            found = prometheus.query(asked(expression, "5s"))
            may_be_quiet = used_names(expression) <= _QUIET or place.startswith("annotation")
            assert found or may_be_quiet, place
        assert "level=error" not in prometheus.log()
