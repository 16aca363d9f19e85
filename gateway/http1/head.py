"""Collects a head that comes in pieces, and refuses early what can never become one.

Every byte is looked at once, whatever the pieces, and no more is held than a head may be large.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.errors import DownstreamError, UpstreamProtocolError
from gateway.http1.limits import Limits
from gateway.http1.start import parse_request_line, parse_status_line

_CR: Final = 13
# A TLS hello or other noise need not wait for an end of line that may never come.
_METHOD_START: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Z]")
_STATUS_START: Final = re.compile(rb"H")


class HeadBuffer:
    """Of requests: one empty line in front of them is tolerated (RFC 9112, 2.2)."""

    __slots__ = ("_collector", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._collector = _Collector(limits, _METHOD_START, self._judge, skips_empty_line=True)

    def __repr__(self) -> str:
        return f"<HeadBuffer {self._collector.state}>"

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a request has come."""
        return self._collector.is_empty

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """(head without its blank line, what came after it) once it is there, and is empty then.

        Raises DownstreamError as soon as this can be no request that is served here.
        """
        try:
            return self._collector.feed(data)
        except _NoHead:
            text = "This is no HTTP request: lines end with CR and LF, and none comes before it."
            raise DownstreamError(400, "bad_request", text) from None
        except _LongLine:
            text = f"The first line of the request is longer than {self._limits.line_bytes} bytes."
            raise DownstreamError(414, "line_too_long", text) from None
        except _LargeHead:
            text = "The headers of the request are too large."
            raise DownstreamError(431, "head_too_large", text) from None

    def _judge(self, line: bytes) -> None:
        parse_request_line(line, self._limits)


class ResponseHeadBuffer:
    """Of answers."""

    __slots__ = ("_collector", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._collector = _Collector(limits, _STATUS_START, self._judge, skips_empty_line=False)

    def __repr__(self) -> str:
        return f"<ResponseHeadBuffer {self._collector.state}>"

    @property
    def is_empty(self) -> bool:
        """Whether nothing of an answer has come."""
        return self._collector.is_empty

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """(head without its blank line, what came after it) once it is there, and is empty then.

        Raises UpstreamProtocolError as soon as this can be no answer.
        """
        try:
            return self._collector.feed(data)
        except _NoHead:
            raise UpstreamProtocolError("The model's answer is not HTTP/1.1.") from None
        except (_LongLine, _LargeHead):
            text = "The headers of the model's answer are too large."
            raise UpstreamProtocolError(text) from None

    def _judge(self, line: bytes) -> None:
        parse_status_line(line, self._limits)


class _NoHead(ValueError):
    """A bare LF, or a beginning that no first line has."""


class _LongLine(ValueError):
    """The first line is over its limit."""


class _LargeHead(ValueError):
    """The head is over its limit in bytes or lines."""


class _Collector:
    """What both sides have in common."""

    __slots__ = (
        "_count",
        "_first",
        "_held",
        "_judge",
        "_limits",
        "_next",
        "_pattern",
        "_scanned",
        "_skips_empty_line",
    )

    def __init__(
        self,
        limits: Limits,
        pattern: re.Pattern[bytes],
        judge: Callable[[bytes], None],
        *,
        skips_empty_line: bool,
    ) -> None:
        self._limits = limits
        self._pattern = pattern  # what a first line starts with
        self._judge = judge  # is given the first line
        self._skips_empty_line = skips_empty_line
        self._clear()

    def _clear(self) -> None:
        self._held = bytearray()
        self._scanned = 0  # no LF that was not looked at before here
        self._first = 0  # where the first line starts
        self._next = 0  # where the unfinished line starts
        self._count = 0  # finished lines

    @property
    def is_empty(self) -> bool:
        return len(self._held) == self._first

    @property
    def state(self) -> str:
        return f"{self._count} lines, {len(self._held)} bytes"

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        held = self._held
        held += data
        while (feed_at := held.find(b"\n", self._scanned)) >= 0:
            end = feed_at - 1
            self._scanned = feed_at + 1
            if end < self._next or held[end] != _CR:
                raise _NoHead
            if end > self._next:
                self._finish_line(end)
            elif self._count:
                head = bytes(held[self._first : end - 2]), bytes(held[feed_at + 1 :])
                self._clear()
                return head
            elif self._skips_empty_line and self._first == 0:
                self._first = 2
            else:
                raise _NoHead
            self._next = feed_at + 1
        self._scanned = len(held)
        self._check_unfinished()
        return None

    def _finish_line(self, end: int) -> None:
        if self._count == 0:
            self._judge(bytes(self._held[self._next : end]))
        self._count += 1
        if end - self._first > self._limits.head_bytes or self._count - 1 > self._limits.head_lines:
            raise _LargeHead

    def _check_unfinished(self) -> None:
        """What has come of the line that is not there yet, where a CR may be its end."""
        size = len(self._held)
        if self._count:
            # The blank line and the end of the last header line count for nothing.
            if size - self._first > self._limits.head_bytes + 3:
                raise _LargeHead
        elif size > self._next:
            is_start = self._pattern.match(self._held, self._next)
            may_be_empty = self._skips_empty_line and self._first == 0
            if not is_start and not (may_be_empty and self._held[self._next] == _CR and size == 1):
                raise _NoHead
            if size - self._next > self._limits.line_bytes + 1:
                raise _LongLine
