"""What is told of a finished request: the fields of an access-log line, and of a span.

Everything in a record is fit for a log: it is short, holds no control characters, and no secret
that shows itself as one. Bodies and header values have no place in it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.config.log_text import masked_query, printable
from gateway.config.settings import AccessLog
from gateway.errors import DownstreamError
from gateway.proxy.record import Record
from gateway.routing.unit import parse_source

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange

# Characters; all together make a line that a pipe takes as one, even when each is escaped in JSON.
_LONGEST_METHOD: Final = 32
_LONGEST_PATH: Final = 1024
_LONGEST_UNIT: Final = 128
_UNIT_BYTES: Final = 8  # of a pseudonym: 16 digits
_MOST_UNITS: Final = 8192
_ID_AT: Final = len(b"X-Request-Id: ")


class Recorder:
    """Makes records of exchanges; one per worker, as it remembers the pseudonyms it made."""

    def __init__(self, settings: AccessLog) -> None:
        self._tells_units = settings.units != "none"
        self._is_plain = settings.units == "plain"
        self._tells_address = settings.client_ip
        # Without a key of the operators' own, nobody can tell whose pseudonym it is.
        key = settings.units_key.reveal().encode() or secrets.token_bytes(32)
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self._units: dict[bytes, str] = {}
        self._second = 0
        self._second_text = ""
        self._text = ""
        self._until = 0.0  # up to then `_text` is right
        self._offset = 0.0
        self.tick()

    def __repr__(self) -> str:
        return f"<Recorder that remembers {len(self._units)} units>"

    def tick(self) -> None:
        """To be called every second or so: the clock may have been set."""
        self._offset = time.time() - time.monotonic()
        self._until = 0.0

    def wall(self, now: float) -> float:
        """Seconds since 1970 of a moment of the monotonic clock."""
        return now + self._offset

    def moment(self, now: float) -> str:
        """A moment of the monotonic clock that is not before the last one, to the millisecond."""
        if now < self._until:
            return self._text
        at = now + self._offset
        second = int(at)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        milli = int((at - second) * 1000)
        self._until = now - at + second + (milli + 1) / 1000
        self._text = f"{self._second_text}{milli:03d}Z"
        return self._text

    def record(self, exchange: Exchange, now: float) -> Record:
        """On the hot path."""
        head = exchange.head
        outcome = exchange.outcome
        endpoint = exchange.endpoint
        started = exchange.started
        began = exchange.answered_at
        status = exchange.status
        error = exchange.error
        level = "info"
        route = version = reason = unit = address = ""
        if outcome is not None:
            route, version, reason = outcome.key
            unit_bytes = exchange.decision.unit if self._tells_units and exchange.decision else None
            if unit_bytes is not None:
                unit = self._units.get(unit_bytes) or self.shown_unit(unit_bytes)
        elif exchange.route is not None:
            route = exchange.route.name
        if self._tells_address:
            address = exchange.facts.client_ip or exchange.downstream.peer.address
        if head.query or len(head.target) > _LONGEST_PATH:
            path = self._shown_target(head.target, exchange)
        else:
            path = head.line.text
        upload = exchange.counted
        if error or status >= 499:
            level = "error" if status >= 500 or error == "stream_cut" else "warning"
            error = error or "status_5xx"
        return Record(
            self._text if now < self._until else self.moment(now),
            level,
            route,
            version,
            reason,
            head.method[:_LONGEST_METHOD],
            path,
            status,
            "" if endpoint is None else endpoint.target.url,
            (now - started) * 1e6 // 1 / 1e3,
            (began - started) * 1e6 // 1 / 1e3 if began else None,
            upload.received if upload is not None else exchange.tunnelled or head.length,
            exchange.bytes_out,
            exchange.id_line[_ID_AT:].decode(),
            exchange.trace_id,
            unit,
            address,
            error,
            exchange.tries,
        )

    def refusal(self, error: DownstreamError, request_id: str, address: str, now: float) -> Record:
        """Of what never became a request."""
        return Record(
            ts=self.moment(now),
            level="error" if error.status >= 500 else "warning",
            route="",
            version="",
            reason="",
            method="",
            path="",
            status=error.status,
            request_id=request_id,
            dur_ms=0.0,
            bytes_out=0,
            client_ip=address if self._tells_address else "",
            error=error.code,
        )

    def shown_unit(self, unit: bytes) -> str:
        """A unit as logs may show it: a pseudonym, the same one for the same key, unless plain."""
        if self._is_plain:
            shown = printable(unit.decode(errors="backslashreplace"))[:_LONGEST_UNIT]
        else:
            shown = hashlib.blake2b(unit, digest_size=_UNIT_BYTES, key=self._key).hexdigest()
        if len(self._units) >= _MOST_UNITS:
            self._units.clear()
        self._units[unit] = shown
        return shown

    def _shown_target(self, target: bytes, exchange: Exchange) -> str:
        path, _, query = target.decode().partition("?")
        view, hidden = exchange.route, frozenset[str]()
        if view is not None and not self._is_plain:
            hidden = unit_parameters(view.route.spec.unit)
        shown = f"{path}?{masked_query(query, hidden)}" if query else path
        return shown if len(shown) <= _LONGEST_PATH else f"{shown[:_LONGEST_PATH]}..."


@lru_cache(maxsize=256)  # of few routes
def unit_parameters(unit: tuple[str, ...]) -> frozenset[str]:
    """The query parameters that a route reads its unit from: they say who somebody is."""
    sources = map(parse_source, unit)
    return frozenset(source.name for source in sources if source.kind == "query")
