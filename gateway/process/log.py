"""What the gateway tells about itself: one line per event on standard error.

Whatever gets into a message came from outside sooner or later. So one event is always one line, no
character that moves a terminal's cursor or turns its text around gets through, secrets are hidden,
and long values are cut. What is said again and again is written once in a while, with its number.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import IO

from gateway.config.log_text import Redactor, printable
from gateway.config.secret import Secret
from gateway.config.settings import Log
from gateway.process.background import BackgroundStream

__all__ = ["JsonLines", "RepeatFilter", "TextLines", "configure", "printable"]

_WINDOW_SECONDS = 10.0
_MOST_OF_A_KIND = 50  # messages from one place in that time; a sentence with other values in it
_REMEMBERED = 256
_LONGEST_TEXT = 4096
_LONGEST_SEARCHED = 4 * _LONGEST_TEXT  # for secrets; what is behind is cut unseen


def configure(
    settings: Log, role: str, stream: IO[str] | None = None, secrets: Iterable[Secret] = ()
) -> None:
    """Sends all logging of this process to `stream`, without `secrets`; the last call counts.

    Standard error is written to in a thread: a pipe that nobody reads must not stop the process.
    """
    out = sys.stderr if stream is None else stream
    as_text = settings.format == "text" or (settings.format == "auto" and out.isatty())
    redactor = Redactor(secrets)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    handler = _Writer(_in_background(out) if stream is None else out)
    handler.setFormatter(TextLines(role, redactor) if as_text else JsonLines(role, redactor))
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # asyncio tells at this level which selector it uses, and nothing that concerns an operator.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _in_background(stream: IO[str]) -> IO[str] | BackgroundStream:
    try:
        return BackgroundStream(stream.fileno())
    except OSError:  # not a file but something that stands for one
        return stream


class _Writer(logging.StreamHandler[IO[str] | BackgroundStream]):
    """Writes events, and what had to be left out of them."""

    def __init__(self, stream: IO[str] | BackgroundStream) -> None:
        super().__init__(stream)
        self._repeats = RepeatFilter(time.monotonic)
        self.addFilter(self._repeats)

    def emit(self, record: logging.LogRecord) -> None:
        for summary in self._repeats.due():
            super().emit(summary)
        if lost := self._lost():
            super().emit(lost)
        super().emit(record)

    def close(self) -> None:
        for summary in self._repeats.due(is_over=True):
            super().emit(summary)
        if isinstance(self.stream, BackgroundStream):
            lost = self._lost()
            self.stream.end(self.format(lost) + self.terminator if lost else "")
        super().close()

    def _lost(self) -> logging.LogRecord | None:
        """Stands for messages that nobody read in time."""
        lost = self.stream.take_lost() if isinstance(self.stream, BackgroundStream) else 0
        return _event("%d messages were lost: nobody read them.", lost) if lost else None


class _Lines(logging.Formatter):
    """What both formats have in common."""

    def __init__(self, role: str, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._role = role
        self._redactor = Redactor() if redactor is None else redactor

    def text(self, record: logging.LogRecord) -> str:
        """The message as it may be read by anybody."""
        text = self._redactor(record.getMessage()[:_LONGEST_SEARCHED])
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."

    def trace(self, record: logging.LogRecord) -> str:
        """The traceback, if there is one."""
        return self._redactor(self.formatException(record.exc_info)) if record.exc_info else ""


class JsonLines(_Lines):
    """One JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "ts": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._role,
            "message": self.text(record),
        }
        if repeated := _repeated(record):
            event["repeated"] = repeated
        if trace := self.trace(record):
            event["trace"] = trace
        return json.dumps(event).replace("\x7f", "\\u007f")


class TextLines(_Lines):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        moment = _moment(record).astimezone().strftime("%H:%M:%S")
        text = printable(self.text(record))
        if repeated := _repeated(record):
            text += f" (and {repeated} times before this)"
        if trace := self.trace(record):
            text += f" | {printable(trace)}"
        return f"{moment} {record.levelname.lower():<7} {self._role}: {text}"


class _Kind:
    """What one place in the code has said lately."""

    __slots__ = ("held_back", "since", "template", "written")

    def __init__(self, template: str, since: float) -> None:
        self.template = template
        self.since = since
        self.written = 0
        self.held_back = 0


class RepeatFilter(logging.Filter):
    """Lets the same message through once in ten seconds, and fifty from the same place.

    It counts what it holds back: of the same message, the next one says how often; of a place,
    `due` gives the sum when its time is over.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, str], tuple[float, int]] = {}
        self._kinds: dict[tuple[str, int], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            return self._passes(record)

    def _passes(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        key = (record.levelno, record.getMessage())
        written_at, held_back = self._seen.get(key, (now - _WINDOW_SECONDS, 0))
        if now - written_at < _WINDOW_SECONDS:
            self._seen[key] = (written_at, held_back + 1)
            return False
        if not self._has_room(record, now):
            return False
        self._seen.pop(key, None)  # to the end: the first one is the oldest
        if len(self._seen) >= _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = (now, 0)
        record.repeated = held_back
        return True

    def due(self, is_over: bool = False) -> list[logging.LogRecord]:
        """Events that stand for those that were held back; `is_over`: no others will come."""
        now = self._clock()
        with self._lock:
            ripe = [
                place
                for place, kind in self._kinds.items()
                if is_over or now - kind.since >= _WINDOW_SECONDS
            ]
            kinds = [self._kinds.pop(place) for place in ripe]
        text = "%d more messages of this kind were left out: %s"
        return [_event(text, kind.held_back, kind.template) for kind in kinds if kind.held_back]

    def _has_room(self, record: logging.LogRecord, now: float) -> bool:
        place = (record.pathname, record.lineno)
        kind = self._kinds.get(place)
        if kind is None:
            # As many as there are places in the code, and those in libraries.
            kind = self._kinds[place] = _Kind(str(record.msg), now)
        elif now - kind.since >= _WINDOW_SECONDS and not kind.held_back:
            kind.since, kind.written = now, 0
        if kind.written < _MOST_OF_A_KIND:
            kind.written += 1
            return True
        kind.held_back += 1
        return False


def _event(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, values, None)


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _repeated(record: logging.LogRecord) -> int:
    return int(getattr(record, "repeated", 0))
