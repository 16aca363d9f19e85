"""From plain numbers to what Prometheus reads, as text or OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gateway.metrics.names import ALL, PREFIX, Kind, Series


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's value: a count for each of the series' bounds, one for above, and the sum."""

    counts: Sequence[int]
    total: float


Sample = tuple[Series, tuple[str, ...], float | Distribution]


class _Samples(Collector):
    """Hands samples that were taken at one moment to the exposition."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Metric]:
        families = {series.name: _Family(series) for series in ALL}
        for series, labels, value in self._samples:
            families[series.name].add(labels, value)
        return [family.metric for family in families.values()]


class _Family:
    """All samples of one series."""

    def __init__(self, series: Series) -> None:
        name, labels = PREFIX + series.name, list(series.labels)
        self._bounds = [*map(str, series.bounds), "+Inf"]
        self._histogram: HistogramMetricFamily | None = None
        self._single: CounterMetricFamily | GaugeMetricFamily | None = None
        if series.kind is Kind.HISTOGRAM:
            self._histogram = HistogramMetricFamily(name, series.help, labels=labels)
        elif series.kind is Kind.COUNTER:
            self._single = CounterMetricFamily(name, series.help, labels=labels)
        else:
            self._single = GaugeMetricFamily(name, series.help, labels=labels)

    @property
    def metric(self) -> Metric:
        metric = self._histogram or self._single
        assert metric is not None
        return metric

    def add(self, labels: tuple[str, ...], value: float | Distribution) -> None:
        if isinstance(value, Distribution):
            assert self._histogram is not None
            buckets = list(zip(self._bounds, accumulate(value.counts), strict=True))
            self._histogram.add_metric(list(labels), buckets, value.total)
        else:
            assert self._single is not None
            self._single.add_metric(list(labels), value)


def render(samples: Iterable[Sample], accept: str) -> tuple[bytes, str]:
    """The body and its content type, in the form that `accept` asks for."""
    registry = CollectorRegistry()
    registry.register(_Samples(samples))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
