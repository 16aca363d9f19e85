from __future__ import annotations

import re

from gateway.errors import UpstreamError
from gateway.metrics.names import ALL, ERRORS, MIRROR_FAILURES, PREFIX, Kind, render_table
from gateway.metrics.numbers import ERROR_KINDS, MIRROR_FAILURE_KINDS


def test_every_name_is_there_once_and_follows_the_conventions() -> None:
    assert len({series.name for series in ALL}) == len(ALL)
    for series in ALL:
        assert re.fullmatch(r"graygate_[a-z_]+", PREFIX + series.name)
        assert not series.name.endswith(("_total", "_bucket", "_sum", "_count"))
        assert series.help.endswith(".")
        assert all(re.fullmatch(r"[a-z]+", label) for label in series.labels)


def test_histograms_and_nothing_else_have_buckets() -> None:
    for series in ALL:
        assert bool(series.bounds) == (series.kind is Kind.HISTOGRAM)


def test_counters_are_called_total() -> None:
    for series in ALL:
        assert series.full_name.endswith("_total") == (series.kind is Kind.COUNTER)


def test_the_table_has_a_row_for_each() -> None:
    rows = render_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [series.full_name for series in ALL]


def test_every_failure_of_an_upstream_has_its_kind() -> None:
    kinds = {error.kind for error in UpstreamError.__subclasses__()}
    assert kinds <= set(ERROR_KINDS)
    assert all(kind in ERRORS.help for kind in ERROR_KINDS)
    assert all(kind in MIRROR_FAILURES.help for kind in MIRROR_FAILURE_KINDS)
