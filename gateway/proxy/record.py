"""One finished request, as the access log and the spans tell it."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, omit_defaults=True, gc=False):
    """One finished request; the field names are a public interface. What is empty is left out."""

    ts: str  # when it was finished
    level: str
    route: str
    version: str
    reason: str
    method: str
    path: str  # with its query, as the client sent it, secrets masked
    status: int
    upstream: str = ""  # the endpoint that answered
    dur_ms: float = -1.0
    ttfb_ms: float | None = None  # to the first byte of a model's answer
    bytes_in: int = -1  # of the body, if there is one, as far as it came
    bytes_out: int = -1  # of the body, with the framing of its chunks
    request_id: str = ""
    trace_id: str = ""
    unit: str = ""
    client_ip: str = ""
    error: str = ""
    retries: int = 0
