"""Which requests are traced, and what is kept of them until a thread makes spans of it.

The flag of a caller's traceparent says whether its request is sampled; for requests without one
the share in the settings does, and the model is sent a traceparent then. The loop only puts a
record into a queue; spans are built and sent in a thread of their own.
"""

from __future__ import annotations

import logging
import random
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

import msgspec

from gateway.config.settings import Settings, Tracing
from gateway.proxy.record import Record
from gateway.proxy.recorder import Recorder

if TYPE_CHECKING:
    from gateway.proxy.arrival import Arrival
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.identity import Origin

_log = logging.getLogger(__name__)

_MOST_WAITING = 4096
_MOST_PER_BATCH = 256
_BATCH_SECONDS = 1.0

_draw = random.random
_draw_bits = random.getrandbits


class Trace(msgspec.Struct, frozen=True, gc=False):
    """Where the span of a sampled request belongs."""

    trace_id: int
    span_id: int
    parent_id: int = 0  # 0 = the trace begins here


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A sampled request as the exporter gets it; times are seconds since 1970."""

    trace: Trace
    record: Record
    began: float
    ended: float
    answered: float  # 0 = no model did
    model: str  # as the request names it; empty when nobody had to look
    dialect: str


class Exporter(Protocol):
    """Sends batches to a collector."""

    def export(self, batch: list[Finished]) -> bool:
        """Whether it was taken; may block."""

    def close(self) -> None: ...


class Tracer:
    """Decides, collects, and hands to an exporter in a thread; the loop never waits for it."""

    def __init__(self, settings: Tracing, recorder: Recorder, exporter: Exporter) -> None:
        self._share = settings.sample
        self._recorder = recorder
        self._exporter = exporter
        self._queue: SimpleQueue[Finished | None] = SimpleQueue()
        self._refused = 0
        self._lost = 0  # the thread's
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    def __repr__(self) -> str:
        return f"<Tracer of {self._share:.0%}, {self._queue.qsize()} wait, {self.dropped} dropped>"

    @property
    def dropped(self) -> int:
        """Spans that the collector will never see."""
        return self._refused + self._lost

    # The loop's side

    def start(self) -> None:
        self._thread.start()

    def continued(self, origin: Origin) -> Trace:
        """The trace of a request whose caller samples it."""
        return Trace(int(origin.trace_id, 16), origin.span_id, int(origin.parent_id, 16))

    def begun(self, exchange: Arrival) -> tuple[bytes, ...]:
        """Begins a trace for some of the requests that are of none; the lines for the model."""
        if _draw() >= self._share:
            return ()
        trace_id, span_id = _draw_bits(128) or 1, _draw_bits(64) or 1
        exchange.trace = Trace(trace_id, span_id)
        exchange.trace_id = f"{trace_id:032x}"
        return (b"traceparent: 00-%032x-%016x-01" % (trace_id, span_id),)

    def add(self, exchange: Exchange, trace: Trace, now: float) -> None:
        """Called once for each sampled exchange, when all of it is known."""
        if self._queue.qsize() >= _MOST_WAITING:
            self._refused += 1
            return
        recorder, answered = self._recorder, exchange.answered_at
        self._queue.put(
            Finished(
                trace,
                recorder.record(exchange, now),
                recorder.wall(exchange.started),
                recorder.wall(now),
                recorder.wall(answered) if answered else 0.0,
                exchange.facts.model or "",
                "" if exchange.route is None else exchange.route.dialect,
            )
        )

    def end(self) -> None:
        """The last call: the thread ends when it has sent what waits."""
        self._queue.put(None)

    @property
    def is_ended(self) -> bool:
        return not self._thread.is_alive()

    # The thread's side

    def _run(self) -> None:
        is_over = False
        while not is_over:
            batch, is_over = self._next_batch()
            if not batch:
                continue
            try:
                is_taken = self._exporter.export(batch)
            except Exception:
                _log.exception("Spans could not be made or sent.")
                is_taken = False
            if not is_taken:
                self._lost += len(batch)
        self._exporter.close()

    def _next_batch(self) -> tuple[list[Finished], bool]:
        """What has come within a second of the first; and whether nothing will come any more."""
        batch: list[Finished] = []
        timeout = None
        while len(batch) < _MOST_PER_BATCH:
            try:
                finished = self._queue.get(timeout=timeout)
            except Empty:
                break
            if finished is None:
                return batch, True
            batch.append(finished)
            timeout = _BATCH_SECONDS
        return batch, False


def tracer_of(settings: Settings, recorder: Recorder) -> Tracer | None:
    """The tracer that the settings ask for, if any; they have been checked for the extra."""
    tracing = settings.tracing
    if not tracing.otlp_url:
        return None
    # A dozen packages that only who traces must have.
    from gateway.proxy.spans import OtlpExporter

    is_plain = settings.access_log.units == "plain"
    exporter = OtlpExporter(tracing, "enduser.id" if is_plain else "enduser.pseudo.id")
    return Tracer(tracing, recorder, exporter)
