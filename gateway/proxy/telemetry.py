"""What a worker tells of its requests, one by one: access log and traces, built by the settings."""

from __future__ import annotations

import asyncio
import logging
import time

from gateway.config.settings import Settings
from gateway.proxy.access_log import AccessLog
from gateway.proxy.line_writer import LineWriter, target_of
from gateway.proxy.recorder import Recorder
from gateway.proxy.tracing import Tracer, tracer_of

_log = logging.getLogger(__name__)

_END_SECONDS = 2.0  # for what waits to be written or sent when the worker ends


class Telemetry:
    """Owns what stands between finished requests and those who read of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.access_log: AccessLog | None = None
        self.tracer: Tracer | None = None
        self._recorder: Recorder | None = None

    def __repr__(self) -> str:
        return f"<Telemetry: {self.access_log!r}, {self.tracer!r}>"

    def start(self) -> None:
        settings = self._settings
        target = target_of(settings.access_log.path)
        if target is None and not settings.tracing.otlp_url:
            return
        self._recorder = recorder = Recorder(settings.access_log)
        if target is not None:
            try:
                writer = LineWriter(target)
            except OSError as error:
                _log.error("There is no access log: %s is not open.", settings.access_log.path)
                _log.debug("%s", error)
            else:
                writer.start()
                self.access_log = AccessLog(settings.access_log, recorder, writer)
        self.tracer = tracer_of(settings, recorder)
        if self.tracer is not None:
            self.tracer.start()

    def tick(self) -> None:
        """To be called once a second."""
        if self._recorder is not None:
            self._recorder.tick()

    def flush(self) -> None:
        """To be called several times a second."""
        if self.access_log is not None:
            self.access_log.flush()

    async def end(self) -> None:
        """Writes and sends what waits; gives up on whoever does not take it."""
        await asyncio.sleep(0)  # what was aborted just now has yet to hear of it
        parts = [part for part in (self.access_log, self.tracer) if part is not None]
        for part in parts:
            part.end()
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            if all(part.is_ended for part in parts):
                break
            await asyncio.sleep(0.01)

    @property
    def dropped(self) -> dict[str, int]:
        """What nobody took in time, by kind."""
        counts = {}
        if self.access_log is not None:
            counts["access_log"] = self.access_log.dropped
        if self.tracer is not None:
            counts["spans"] = self.tracer.dropped
        return counts
