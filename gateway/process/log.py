"""What the gateway tells about itself: one line per event on standard error.

Whatever gets into a message came from outside sooner or later. So one event is always one line, no
character that moves a terminal's cursor or turns its text around gets through, and long values are
cut. The same message again and again is written once a while, with how often it was repeated.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gateway.config.settings import Log

_REPEAT_SECONDS = 10.0
_REMEMBERED = 256
_LONGEST_TEXT = 4096
# Control characters (C0, DEL, C1), line separators, and marks that reorder text.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def configure(settings: Log, role: str, stream: IO[str] | None = None) -> None:
    """Sends all logging of this process to `stream`; the last call counts."""
    out = sys.stderr if stream is None else stream
    as_text = settings.format == "text" or (settings.format == "auto" and out.isatty())
    handler = _Writer(out)
    handler.setFormatter(TextLines(role) if as_text else JsonLines(role))
    handler.addFilter(RepeatFilter(time.monotonic))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # asyncio tells at this level which selector it uses, and nothing that concerns an operator.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class _Writer(logging.StreamHandler[IO[str]]):
    """Writes to a stream until nobody reads it any more: a closed terminal, a broken pipe."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError) or error.errno not in (errno.EPIPE, errno.EIO):
            super().handleError(record)
            return
        # What is still in the buffer must go somewhere, or Python's own end would fail over it.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self.stream.fileno())


def printable(text: str) -> str:
    """The text with everything escaped that could change a line's meaning or a terminal's state."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class JsonLines(logging.Formatter):
    """One JSON object a line, in ASCII."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "ts": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._role,
            "message": _cut(record.getMessage()),
        }
        if repeated := _repeated(record):
            event["repeated"] = repeated
        if record.exc_info:
            event["trace"] = self.formatException(record.exc_info)
        return json.dumps(event).replace("\x7f", "\\u007f")


class TextLines(logging.Formatter):
    """For people at a terminal."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        moment = _moment(record).astimezone().strftime("%H:%M:%S")
        text = printable(_cut(record.getMessage()))
        if repeated := _repeated(record):
            text += f" (and {repeated} times before this)"
        if record.exc_info:
            text += f" | {printable(self.formatException(record.exc_info))}"
        return f"{moment} {record.levelname.lower():<7} {self._role}: {text}"


class RepeatFilter(logging.Filter):
    """Lets the same message through once in ten seconds, and counts what it holds back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        key = (record.levelno, record.getMessage())
        written_at, held_back = self._seen.get(key, (now - _REPEAT_SECONDS, 0))
        if now - written_at < _REPEAT_SECONDS:
            self._seen[key] = (written_at, held_back + 1)
            return False
        self._seen.pop(key, None)  # to the end: the first one is the oldest
        if len(self._seen) >= _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = (now, 0)
        record.repeated = held_back
        return True


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _repeated(record: logging.LogRecord) -> int:
    return int(getattr(record, "repeated", 0))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
