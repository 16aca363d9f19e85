"""The access log: one JSON line for each request, made when it is finished.

Everything that was an error, was cut or was slow is in it; of the rest as large a share as the
settings say. What a line says is in `record`, how it gets out without anybody waiting in
`line_writer`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from gateway.config.settings import AccessLog as AccessLogSettings
from gateway.errors import DownstreamError
from gateway.proxy.line_writer import LONGEST_LINE, LineWriter
from gateway.proxy.record import Record, Recorder, shortened

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange

# Beside statuses from 499 on: an answer that began well and was not finished.
_CUT = frozenset({"stream_cut", "client_gone"})
_LONG_BYTES = 1024  # a line that is longer is looked at again
_CUTS = (1024, 256)  # characters of a text in it; the first that makes the line short enough

_draw = random.random


class AccessLog:
    """Writes down finished requests; `add` is on the hot path."""

    def __init__(self, settings: AccessLogSettings, recorder: Recorder, writer: LineWriter) -> None:
        self._record = recorder.record
        self._refusal = recorder.refusal
        self._writer = writer
        self._is_whole = settings.sample >= 1.0
        self._share = settings.sample
        self._slow_seconds = settings.slow_seconds or float("inf")
        encoder = msgspec.json.Encoder()
        self._encode = encoder.encode
        self._encode_into = encoder.encode_into

    def __repr__(self) -> str:
        return f"<AccessLog of {self._share:.0%} by {self._writer!r}>"

    def add(self, exchange: Exchange, now: float) -> None:
        """Called once for each exchange, when all of it is known."""
        if not self._is_whole and _draw() >= self._share and self._is_ordinary(exchange, now):
            return
        # As `_write`, but on the hot path.
        record = self._record(exchange, now)
        writer = self._writer
        buffer = writer.buffer
        start = len(buffer)
        self._encode_into(record, buffer, -1)
        if len(buffer) - start > _LONG_BYTES:
            del buffer[start:]
            self._write(record)
            return
        buffer += b"\n"
        writer.lines += 1

    def add_refusal(
        self, error: DownstreamError, request_id: str, address: str, now: float
    ) -> None:
        """Called for what was refused before it was a request."""
        if self._is_whole or error.status >= 500 or _draw() < self._share:
            self._write(self._refusal(error, request_id, address, now))

    def _write(self, record: Record) -> None:
        """Writes a record that may be too long."""
        for most in _CUTS:
            line = self._encode(shortened(record, most))
            if len(line) < LONGEST_LINE:
                break
        self._writer.buffer += line + b"\n"
        self._writer.lines += 1

    def _is_ordinary(self, exchange: Exchange, now: float) -> bool:
        return (
            exchange.status < 499
            and exchange.error not in _CUT
            and now - exchange.started < self._slow_seconds
        )
