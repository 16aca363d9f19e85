from __future__ import annotations

import resource
import sys
from dataclasses import replace

import pytest

from gateway.process import supervisor
from gateway.proxy import plane
from loadtests import many_connections, roomy
from loadtests.many_connections import Found, Phase, Plan, report, too_low, wrong

ALONE = Phase(
    cpu=100.0,
    half=1.0,
    most=5.0,
    lag=3.0,
    own_lag=2.0,
    resident=2**25,
    descriptors=2010,
    connections=2000,
)
BESIDE = replace(ALONE, cpu=110.0, half=1.25, resident=2**26, connections=12_000)


def found() -> Found:
    """All is well."""
    return Found([ALONE], [BESIDE], idle_bytes=2048.0, requests=90_000, before=17, after=17)


def test_what_is_well_has_no_complaint_and_is_told_with_its_ratio() -> None:
    assert wrong(Plan(), found()) == []
    text = report(Plan(), found(), 30_000, 0.5)
    assert "1.10 / 1.10 / 1.10" in text  # the cost of a request beside idle ones
    assert "0.25 / 0.25 / 0.25" in text  # milliseconds added
    assert "| 12,000" in text
    assert "idle connection: 2.00 KiB" in text
    assert "NOT WELL" not in text


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"failed": 1, "complaint": "HTTP/1.1 503"}, "failed: HTTP/1.1 503"),
        ({"lost": 1}, "1 connections were lost"),
        ({"idle_bytes": 4097.0}, "4097 bytes"),
        ({"after": 18}, "1 descriptors"),
        ({"beside": [replace(BESIDE, connections=11_999)]}, "hold 12,000 connections"),
    ],
)
def test_what_is_not_well_is_told(changed: dict[str, object], word: str) -> None:
    bad = found()
    for name, value in changed.items():
        setattr(bad, name, value)
    [words] = wrong(Plan(), bad)
    assert word in words
    assert f"NOT WELL: {words}" in report(Plan(), bad, 30_000, 0.5)


def test_a_machine_whose_limit_is_too_low_is_told_what_it_needs_and_what_helps() -> None:
    words = too_low(Plan(), 20_000)
    assert "24,129" in words and "20,000" in words and "--roomy" in words
    assert too_low(Plan(), 24_129) == too_low(Plan(is_roomy=True), 20_000) == ""
    assert "--roomy" not in too_low(Plan(is_roomy=True), 10_000)


def test_nothing_is_started_or_written_where_the_limit_is_too_low(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["many_connections", "--idle", "10000000"])
    monkeypatch.setattr(many_connections, "SAVED", None)
    with pytest.raises(SystemExit, match="10,000,000 idle and 2,000 active"):
        many_connections.main()


def test_the_gateway_counts_half_of_its_descriptors_and_a_roomy_one_three_quarters() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        half = plane._most_connections("auto")
        assert half == before[1] // 2
        assert roomy.three_quarters("auto") == int(before[1] * 0.75)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_roomy_supervisor_starts_roomy_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, ...]] = []

    def serve() -> None:
        # As the supervisor asks for them.
        started.append(vars(supervisor)["Programs"]().worker)

    monkeypatch.setattr("loadtests.roomy.entry.main", serve)
    monkeypatch.setattr(sys, "argv", ["roomy", "serve"])
    roomy.main()
    assert started == [(sys.executable, "-P", "-m", "loadtests.roomy")]
