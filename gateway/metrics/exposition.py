"""From plain numbers to what Prometheus reads, as text or OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gateway.metrics.names import ALL, PREFIX, Kind, Series

Sample = tuple[Series, tuple[str, ...], float]


class _Samples(Collector):
    """Hands samples that were taken at one moment to the exposition."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for series in ALL:
            family = CounterMetricFamily if series.kind is Kind.COUNTER else GaugeMetricFamily
            families[series.name] = family(
                PREFIX + series.name, series.help, labels=list(series.labels)
            )
        for series, labels, value in self._samples:
            families[series.name].add_metric(list(labels), value)
        return families.values()


def render(samples: Iterable[Sample], accept: str) -> tuple[bytes, str]:
    """The body and its content type, in the form that `accept` asks for."""
    registry = CollectorRegistry()
    registry.register(_Samples(samples))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
