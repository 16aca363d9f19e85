"""From finished requests to spans at a collector, by OpenTelemetry's SDK: needs the extra `otel`.

One span of kind SERVER stands for a request, whatever it took to answer it. Its attributes follow
OpenTelemetry's names for HTTP and, where the path tells that it is for a model, those for GenAI;
what they have no name for begins with `graygate.`. A gateway sees bytes and not tokens, so there is
nothing here of usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from gateway import __version__
from gateway.config.log_text import printable
from gateway.config.settings import Tracing
from gateway.proxy.tracing import Finished

_TIMEOUT_SECONDS = 5.0
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_LONGEST_MODEL = 128
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
# By the end of the path; the names are those of OpenTelemetry's GenAI conventions.
_OPERATIONS = (
    ("/chat/completions", "chat"),
    ("/messages", "chat"),
    ("/responses", "chat"),
    ("/completions", "text_completion"),
    ("/embeddings", "embeddings"),
    (":generateContent", "generate_content"),
    (":streamGenerateContent", "generate_content"),
)
_PROVIDERS = frozenset({"openai", "anthropic"})  # dialects that are named after one

Attribute = str | int | float


class OtlpExporter:
    """Sends spans to one collector; `export` blocks until they are taken or given up."""

    def __init__(self, settings: Tracing, unit_attribute: str) -> None:
        resource = {"service.name": settings.service_name, "service.version": __version__}
        self._resource = Resource.create(resource)  # and what OTEL_RESOURCE_ATTRIBUTES says
        self._scope = InstrumentationScope("graygate", __version__)
        self._unit_attribute = unit_attribute
        self._exporter = OTLPSpanExporter(traces_url(settings.otlp_url), timeout=_TIMEOUT_SECONDS)

    def export(self, batch: list[Finished]) -> bool:
        spans = [self._span(finished) for finished in batch]
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotations

    def _span(self, finished: Finished) -> ReadableSpan:
        trace, record = finished.trace, finished.record
        parent = _context(trace.trace_id, trace.parent_id, is_remote=True)
        is_error = record.status >= 500 or record.error == "stream_cut"
        method = record.method if record.method in _METHODS else "HTTP"
        return ReadableSpan(
            name=f"{method} {record.route}" if record.route else method,
            context=_context(trace.trace_id, trace.span_id, is_remote=False),
            parent=parent if trace.parent_id else None,
            resource=self._resource,
            attributes=dict(self._attributes(finished)),
            events=[Event("first byte", timestamp=_nanoseconds(finished.answered))]
            if finished.answered
            else [],
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR) if is_error else Status(),
            start_time=_nanoseconds(finished.began),
            end_time=_nanoseconds(finished.ended),
            instrumentation_scope=self._scope,
        )

    def _attributes(self, finished: Finished) -> Iterator[tuple[str, Attribute]]:
        record = finished.record
        path, _, query = record.path.partition("?")
        method = record.method if record.method in _METHODS else "_OTHER"
        told: dict[str, Attribute] = {
            "http.request.method": method,
            "url.path": path,
            "url.query": query,
            "http.response.status_code": record.status,
            "http.request.body.size": max(record.bytes_in, 0),
            "http.response.body.size": max(record.bytes_out, 0),
            "client.address": record.client_ip,
            self._unit_attribute: record.unit,
            "error.type": record.error,
            "graygate.route": record.route,
            "graygate.version": record.version,
            "graygate.reason": record.reason,
            "graygate.endpoint": record.upstream,
            "graygate.request_id": record.request_id,
            "graygate.retries": record.retries,
            "graygate.time_to_first_byte": (record.ttfb_ms or 0.0) / 1e3,
        }
        yield from ((name, value) for name, value in told.items() if value)
        yield from _of_model(path, finished)


def _of_model(path: str, finished: Finished) -> Iterator[tuple[str, Attribute]]:
    operation = next((name for end, name in _OPERATIONS if path.endswith(end)), None)
    if operation is None:
        return
    yield "gen_ai.operation.name", operation
    if finished.dialect in _PROVIDERS:
        yield "gen_ai.provider.name", finished.dialect
    if finished.model:
        yield "gen_ai.request.model", printable(finished.model[:_LONGEST_MODEL])


def traces_url(url: str) -> str:
    """Where traces go; a collector's bare address gets the path that OTLP names for them."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"


def _context(trace_id: int, span_id: int, is_remote: bool) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote, _SAMPLED)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000  # a float holds no more digits of it
