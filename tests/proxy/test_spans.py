"""What a span says, read by another implementation of the protocol than the one that wrote it."""

from __future__ import annotations

import msgspec
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway import __version__
from gateway.config.settings import Tracing
from gateway.proxy.record import Record
from gateway.proxy.spans import OtlpExporter, traces_url
from gateway.proxy.tracing import Finished, Trace
from tests.proxy.collector import Collector, values

RECORD = Record(
    ts="2026-09-30T12:00:00.250Z",
    level="info",
    route="chat",
    version="v2",
    reason="weight",
    method="POST",
    path="/v1/chat/completions?api_key=***",
    status=200,
    upstream="http://10.0.0.1:8000",
    dur_ms=250.0,
    ttfb_ms=100.0,
    bytes_in=10,
    bytes_out=20,
    request_id="r-1",
    trace_id="1" * 32,
    unit="0123456789abcdef",
    client_ip="192.0.2.1",
    retries=1,
)
FINISHED = Finished(
    Trace(int("1" * 32, 16), int("2" * 16, 16), int("3" * 16, 16)),
    RECORD,
    began=1_800_000_000.0,
    ended=1_800_000_000.25,
    answered=1_800_000_000.125,
    model="llama",
    dialect="openai",
)


def sent(
    collector: Collector, *batch: Finished, unit_attribute: str = "enduser.pseudo.id"
) -> list[Span]:
    exporter = OtlpExporter(Tracing(otlp_url=collector.url, service_name="edge"), unit_attribute)
    assert exporter.export(list(batch))
    exporter.close()
    return collector.spans


def changed(finished: Finished = FINISHED, **changes: object) -> Finished:
    record = msgspec.structs.replace(finished.record, **changes)
    return msgspec.structs.replace(finished, record=record)


def test_a_span_says_what_the_request_came_to() -> None:
    with Collector() as collector:
        (span,) = sent(collector, FINISHED)
        assert collector.paths == ["/v1/traces"]
        resource = collector.resource
    assert resource["service.name"] == "edge"
    assert resource["service.version"] == __version__
    assert span.name == "POST chat"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.trace_id.hex() == "1" * 32
    assert span.span_id.hex() == "2" * 16
    assert span.parent_span_id.hex() == "3" * 16
    assert span.start_time_unix_nano == 1_800_000_000_000_000_000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 250_000_000
    (event,) = span.events
    assert (event.name, event.time_unix_nano - span.start_time_unix_nano) == (
        "first byte",
        125_000_000,
    )
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert values(span) == {
        "http.request.method": "POST",
        "url.path": "/v1/chat/completions",
        "url.query": "api_key=***",
        "http.response.status_code": 200,
        "http.request.body.size": 10,
        "http.response.body.size": 20,
        "client.address": "192.0.2.1",
        "enduser.pseudo.id": "0123456789abcdef",
        "graygate.route": "chat",
        "graygate.version": "v2",
        "graygate.reason": "weight",
        "graygate.endpoint": "http://10.0.0.1:8000",
        "graygate.request_id": "r-1",
        "graygate.retries": 1,
        "graygate.time_to_first_byte": 0.1,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "llama",
    }


def test_what_is_not_known_is_left_out() -> None:
    bare = Record("t", "info", "", "", "", "", "", 404, dur_ms=1.0, bytes_out=0)
    finished = Finished(Trace(1, 2), bare, 1.0, 2.0, 0.0, "", "")
    with Collector() as collector:
        (span,) = sent(collector, finished)
    assert span.parent_span_id == b""
    assert list(span.events) == []
    assert span.name == "HTTP"
    assert values(span) == {"http.request.method": "_OTHER", "http.response.status_code": 404}


@pytest.mark.parametrize(("status", "error"), [(502, "upstream_gone"), (200, "stream_cut")])
def test_failures_have_the_status_error_and_a_type(status: int, error: str) -> None:
    with Collector() as collector:
        (span,) = sent(collector, changed(status=status, error=error))
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert values(span)["error.type"] == error


def test_a_client_that_went_is_told_but_no_error_of_ours() -> None:
    with Collector() as collector:
        (span,) = sent(collector, changed(status=499, error="client_gone"))
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert values(span)["error.type"] == "client_gone"


def test_A15_names_of_spans_do_not_grow_with_methods() -> None:
    with Collector() as collector:
        spans = sent(collector, *(changed(method=f"M{number}") for number in range(100)))
    assert {span.name for span in spans} == {"HTTP chat"}
    assert {values(span)["http.request.method"] for span in spans} == {"_OTHER"}


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/messages", "chat"),
        ("/v1/responses?a=b", "chat"),
        ("/v1beta/models/g:generateContent", "generate_content"),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", "generate_content"),
        ("/v2/models/m/infer", None),
    ],
)
def test_the_path_tells_what_a_model_is_asked_for(path: str, operation: str | None) -> None:
    with Collector() as collector:
        (span,) = sent(collector, changed(path=path))
    assert values(span).get("gen_ai.operation.name") == operation


def test_A13_the_name_of_a_model_is_printable_and_short() -> None:
    finished = msgspec.structs.replace(FINISHED, model="x\n\x1b" + "y" * 1000, dialect="kserve")
    with Collector() as collector:
        (span,) = sent(collector, finished)
    model = values(span)["gen_ai.request.model"]
    assert isinstance(model, str) and model.isprintable() and len(model) < 200
    assert "gen_ai.provider.name" not in values(span)


def test_a_plain_unit_goes_by_another_name() -> None:
    with Collector() as collector:
        (span,) = sent(collector, FINISHED, unit_attribute="enduser.id")
    assert values(span)["enduser.id"] == "0123456789abcdef"


def test_a_collector_that_refuses_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    with Collector() as collector:
        collector.status = 400
        exporter = OtlpExporter(Tracing(otlp_url=f"{collector.url}/own/path"), "enduser.id")
        assert not exporter.export([FINISHED])
        exporter.close()
        assert collector.paths == ["/own/path"]


@pytest.mark.parametrize(
    ("url", "traces"),
    [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("https://c/own/v1/traces", "https://c/own/v1/traces"),
    ],
)
def test_a_bare_address_gets_the_path_of_the_protocol(url: str, traces: str) -> None:
    assert traces_url(url) == traces
