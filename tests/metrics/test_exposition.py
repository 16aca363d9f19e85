from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.metrics import names
from gateway.metrics.exposition import Distribution, Sample, render

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SAMPLES: list[Sample] = [
    (names.REQUESTS, ("chat", "v2", "200"), 3),
    (names.CONNECTIONS, (), 5),
    (
        names.INTER_CHUNK,
        ("chat", "v2"),
        Distribution([2, 0, 1, *[0] * (len(names.INTER_CHUNK.bounds) - 3), 4], 400.5),
    ),
]


def told(accept: str, samples: list[Sample]) -> dict[tuple[str, tuple[str, ...]], float]:
    body, content_type = render(samples, accept)
    assert content_type.startswith(accept.split(";")[0])
    parse = parse_openmetrics if accept == OPENMETRICS else parse_text
    order = ("route", "version", "code", "endpoint", "le")
    return {
        (
            sample.name.removeprefix("graygate_"),
            tuple(sample.labels[label] for label in order if label in sample.labels),
        ): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_counters_gauges_and_histograms_are_written_and_can_be_read(accept: str) -> None:
    numbers = told(accept, SAMPLES)
    assert numbers["requests_total", ("chat", "v2", "200")] == 3
    assert numbers["connections", ()] == 5
    assert numbers["inter_chunk_seconds_bucket", ("chat", "v2", "0.01")] == 2
    assert numbers["inter_chunk_seconds_bucket", ("chat", "v2", "0.025")] == 2
    assert numbers["inter_chunk_seconds_bucket", ("chat", "v2", "80.0")] == 3
    assert numbers["inter_chunk_seconds_bucket", ("chat", "v2", "+Inf")] == 7
    assert numbers["inter_chunk_seconds_count", ("chat", "v2")] == 7
    assert numbers["inter_chunk_seconds_sum", ("chat", "v2")] == 400.5


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_a_series_without_samples_is_named_all_the_same(accept: str) -> None:
    body, _ = render([], accept)
    for series in names.ALL:
        assert f"# HELP graygate_{series.name}" in body.decode()
    assert told(accept, []) == {}


def test_labels_with_odd_letters_come_through() -> None:
    url = 'http://h/"\\'
    assert told(TEXT, [(names.ENDPOINT_HEALTHY, ("chat", "v2", url), 0.5)]) == {
        ("endpoint_healthy", ("chat", "v2", url)): 0.5
    }


def test_a_distribution_of_other_buckets_is_never_written() -> None:
    with pytest.raises(ValueError):
        render([(names.INTER_CHUNK, ("chat", "v2"), Distribution([1, 2], 3.0))], TEXT)
