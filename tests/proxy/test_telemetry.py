"""What a worker tells of its requests begins and ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.config.settings import AccessLog, Settings, Tracing
from gateway.proxy import line_writer, telemetry
from gateway.proxy.telemetry import Telemetry
from tests.proxy.link import until


async def test_nothing_is_built_when_nothing_is_wanted() -> None:
    told = Telemetry(Settings(access_log=AccessLog(path="")))
    told.start()
    told.tick()
    told.flush()
    assert (told.access_log, told.tracer, told.dropped) == (None, None, {})
    await told.end()
    assert repr(told) == "<Telemetry: None, None>"


async def test_traces_need_no_access_log() -> None:
    tracing = Tracing(otlp_url="http://127.0.0.1:1")
    told = Telemetry(Settings(access_log=AccessLog(path=""), tracing=tracing))
    told.start()
    told.tick()
    assert told.access_log is None and told.tracer is not None
    assert told.dropped == {"spans": 0}
    await told.end()


async def test_a_standard_output_that_is_closed_is_no_reason_not_to_serve(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line_writer, "_STDOUT", 987_654)
    told = Telemetry(Settings(access_log=AccessLog(path="stdout")))
    told.start()
    assert told.access_log is None
    assert "There is no access log: stdout is not open." in caplog.text
    await told.end()


async def test_the_end_waits_for_what_can_be_written_and_not_for_what_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_END_SECONDS", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    stuck = os.open(pipe, os.O_RDWR)  # a reader that does not read
    told = Telemetry(Settings(access_log=AccessLog(path=str(pipe))))
    told.start()
    log = told.access_log
    assert log is not None
    log._writer.put((b"x" * 999 + b"\n") * 100, 100)
    before = time.monotonic()
    await told.end()
    assert time.monotonic() - before < 10
    assert not log.is_ended
    taken = 0
    while taken < 100_000:  # or its thread would go on waiting
        taken += len(os.read(stuck, 65536))
    await until(lambda: log.is_ended, "the thread ends")
    os.close(stuck)
    assert told.dropped == {"access_log": 0}


def test_who_traces_nothing_loads_nothing_for_it() -> None:
    code = "import sys, gateway.proxy.plane; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
