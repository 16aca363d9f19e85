"""Which requests are traced, what the model hears of it, and that no collector is waited for."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.config.settings import AccessLog, Settings, Tracing
from gateway.proxy import tracing
from gateway.proxy.exchange import Exchange
from gateway.proxy.recorder import Recorder
from gateway.proxy.tracing import Finished, Trace, Tracer, tracer_of
from tests.proxy.collector import Collector
from tests.proxy.conftest import Start
from tests.proxy.link import until
from tests.proxy.side import Side

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Exporter:
    """Keeps what it is given; may be made to refuse, fail or hang."""

    def __init__(self) -> None:
        self.batches: list[list[Finished]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.takes = True
        self.error: Exception | None = None
        self.is_closed = False

    def export(self, batch: list[Finished]) -> bool:
        self.may_go_on.wait(30)
        if self.error is not None:
            raise self.error
        self.batches.append(batch)
        return self.takes

    def close(self) -> None:
        self.is_closed = True

    @property
    def finished(self) -> list[Finished]:
        return [one for batch in self.batches for one in batch]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Exporter:
    """What every plane of the test exports to."""
    exporter = Exporter()

    def given(settings: Settings, recorder: Recorder) -> Tracer | None:
        return Tracer(settings.tracing, recorder, exporter)

    monkeypatch.setattr("gateway.proxy.telemetry.tracer_of", given)
    return exporter


async def traced(start: Start, sample: float = 0.0) -> Side:
    return await start(
        tracing={"otlp_url": "http://collector", "sample": sample}, access_log={"path": ""}
    )


def sent_on(side: Side) -> tuple[str, str, str] | None:
    """Trace, span and flags of the traceparent that the model got last."""
    value = side.model.last.one("traceparent")
    if value is None:
        return None
    version, trace, span, flags = value.split("-")
    assert version == "00"
    return trace, span, flags


async def test_a_sampled_parent_is_followed(start: Start, exporter: Exporter) -> None:
    side = await traced(start)
    answer = await side.ask(traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="a=b", baggage="k=v")
    told = sent_on(side)
    assert told is not None and told[0] == TRACE and told[1] != PARENT and told[2] == "01"
    assert side.model.last.one("tracestate") == "a=b"
    assert side.model.last.one("baggage") == "k=v"
    await side.stop()
    (finished,) = exporter.finished
    assert finished.trace == Trace(int(TRACE, 16), int(told[1], 16), int(PARENT, 16))
    assert finished.record.trace_id == TRACE
    assert finished.record.request_id == answer.one("x-request-id")
    assert finished.began <= finished.answered <= finished.ended
    assert exporter.is_closed


@pytest.mark.parametrize("sample", [0.0, 1.0])
async def test_a_parent_that_is_not_sampled_stays_so(
    start: Start, exporter: Exporter, sample: float
) -> None:
    side = await traced(start, sample)
    await side.ask(traceparent=f"00-{TRACE}-{PARENT}-00")
    told = sent_on(side)
    assert told is not None and (told[0], told[2]) == (TRACE, "00")
    await side.stop()
    assert exporter.finished == []


async def test_a_share_of_requests_begins_a_trace_that_the_model_continues(
    start: Start, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([0.1, 0.7])
    monkeypatch.setattr(tracing, "_draw", lambda: next(draws))
    side = await traced(start, sample=0.5)
    await side.ask()
    told = sent_on(side)
    assert told is not None and told[2] == "01"
    assert re.fullmatch("[0-9a-f]{32}", told[0]) and re.fullmatch("[0-9a-f]{16}", told[1])
    await side.ask()
    assert sent_on(side) is None
    await side.stop()
    (finished,) = exporter.finished
    assert finished.trace == Trace(int(told[0], 16), int(told[1], 16), 0)


async def test_by_default_no_trace_begins_here(start: Start, exporter: Exporter) -> None:
    side = await traced(start)
    await side.ask()
    assert sent_on(side) is None
    await side.stop()
    assert exporter.finished == []


@pytest.mark.parametrize(
    "wrong",
    [
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        "nonsense",
    ],
)
async def test_a_wrong_traceparent_is_none_and_may_be_replaced(
    start: Start, exporter: Exporter, wrong: str
) -> None:
    side = await traced(start, sample=1.0)
    await side.ask(traceparent=wrong, tracestate="a=b")
    told = sent_on(side)
    assert told is not None and told[0] != TRACE
    assert side.model.last.one("tracestate") is None
    await side.stop()
    assert len(exporter.finished) == 1


async def test_a_request_that_no_model_answers_is_traced_too(
    start: Start, exporter: Exporter
) -> None:
    side = await traced(start)
    side.use()
    await side.ask(traceparent=f"00-{TRACE}-{PARENT}-01")
    await side.stop()
    (finished,) = exporter.finished
    assert (finished.record.status, finished.record.error) == (404, "no_route")
    assert finished.answered == 0


async def test_what_a_collector_does_not_take_is_counted(start: Start, exporter: Exporter) -> None:
    exporter.takes = False
    side = await traced(start, sample=1.0)
    await side.ask()
    await side.stop()
    assert side.plane.dropped == {"spans": 1}


async def test_an_exporter_that_fails_costs_its_batch_and_nothing_else(
    start: Start, exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.error = RuntimeError("what now")
    side = await traced(start, sample=1.0)
    await side.ask()
    await side.stop()
    assert side.plane.dropped == {"spans": 1}
    assert exporter.is_closed
    assert "Spans could not be made or sent." in caplog.text


async def test_nobody_waits_for_a_collector_that_hangs(
    start: Start, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_MOST_WAITING", 5)
    monkeypatch.setattr(tracing, "_BATCH_SECONDS", 0.0)
    exporter.may_go_on.clear()
    side = await traced(start, sample=1.0)
    tracer = side.plane.tracer
    assert tracer is not None
    await side.ask()
    await until(lambda: "0 wait" in repr(tracer), "the thread has taken the first")
    client = await side.dial()
    for _ in range(20):
        assert (await client.ask()).status == 200
    assert tracer.dropped == 15
    exporter.may_go_on.set()
    await side.stop()
    assert len(exporter.finished) == 6


async def test_batches_are_bounded(exporter: Exporter) -> None:
    tracer = Tracer(Tracing(), Recorder(AccessLog()), exporter)
    finished = cast(Finished, object())
    for _ in range(600):
        tracer._queue.put(finished)
    tracer.start()
    tracer.end()
    await until(lambda: tracer.is_ended, "the thread ends")
    assert [len(batch) for batch in exporter.batches] == [256, 256, 88]


def test_without_a_collector_there_is_no_tracer() -> None:
    assert tracer_of(Settings(), Recorder(AccessLog())) is None


async def test_spans_arrive_at_a_collector(start: Start) -> None:
    with Collector() as collector:
        side = await start(tracing={"otlp_url": collector.url})
        await side.ask("/v1/models", traceparent=f"00-{TRACE}-{PARENT}-01")
        await side.stop()
    (span,) = collector.spans
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    told = sent_on(side)
    assert told is not None and span.span_id.hex() == told[1]
    assert side.plane.dropped.get("spans") == 0


def test_a_new_trace_has_ids_that_are_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_draw_bits", lambda bits: 0)
    tracer = Tracer(Tracing(sample=1.0), Recorder(AccessLog()), Exporter())
    exchange = cast(Exchange, SimpleNamespace())
    (line,) = tracer.begun(exchange)
    assert line == b"traceparent: 00-" + b"0" * 31 + b"1-" + b"0" * 15 + b"1-01"
    assert exchange.trace_id == "0" * 31 + "1"
