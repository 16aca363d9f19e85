"""What the access log costs: per line on the loop, and per request in what the process burns.

Usage: python -m loadtests.logging_cost

The first figures are of `AccessLog.add` alone, with lines collected and thrown away. The last ones
count the processor time of the whole process, its writing thread included, for lines that go into a
file and into a pipe that somebody reads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec

from gateway.config.settings import AccessLog as AccessLogSettings
from gateway.config.settings import Settings
from gateway.http1.request import RequestHead
from gateway.http1.start import RequestLine
from gateway.proxy.access_log import AccessLog
from gateway.proxy.downstream import Downstream
from gateway.proxy.exchange import Exchange
from gateway.proxy.line_writer import LineWriter
from gateway.proxy.recorder import Recorder
from gateway.proxy.view import Outcome, View
from gateway.routing.decision import Decision, Reason
from gateway.routing.facts import RequestFacts
from gateway.upstream.address import Target, parse_target

ROUNDS = 200
USERS = 1000
_NOBODY = cast(Downstream, SimpleNamespace(plane=None))
_NO_VIEW = cast(View, None)


class _Nowhere(LineWriter):
    def put(self, data: bytes, lines: int) -> None:
        pass


class Place:
    """As much of an endpoint as the log reads."""

    __slots__ = ("target",)

    def __init__(self, target: Target) -> None:
        self.target = target


def exchanges(query: bytes = b"") -> list[Exchange]:
    """Finished requests of many users, as far as the log reads them."""
    target = b"/v1/chat/completions" + (b"?" + query if query else b"")
    head = RequestHead(RequestLine("POST", target, 1), [])
    head.length = 1024
    shared = {
        "head": head,
        "route": SimpleNamespace(
            name="chat",
            route=SimpleNamespace(spec=SimpleNamespace(unit=("header:x-user-id",))),
        ),
        "outcome": Outcome("chat", "v2", Reason.WEIGHT, Settings()),
        "endpoint": Place(parse_target("http://10.1.2.3:8000")),
        "facts": RequestFacts("POST", b"a", b"/", b"", {}, "10.9.8.7", trusted=True),
        "status": 200,
        "started": time.monotonic(),
        "answered_at": time.monotonic() + 0.012,
        "bytes_out": 2048,
        "id_line": b"X-Request-Id: 0123456789abcdef0123456789abcdef",
    }
    made = []
    for number in range(USERS):
        exchange = Exchange(_NOBODY, head, _NO_VIEW)
        decision = Decision("chat", "v2", Reason.WEIGHT, b"user-%06d" % number)
        for name, value in {**shared, "decision": decision}.items():
            setattr(exchange, name, value)
        made.append(exchange)
    return made


def rounds(log: AccessLog, requests: list[Exchange]) -> list[float]:
    """Microseconds of processor time of one `add`, of each round."""
    taken = []
    for _ in range(ROUNDS):
        now = time.monotonic() + 0.02
        started = time.thread_time_ns()
        for exchange in requests:
            log.add(exchange, now)
        log.flush()
        taken.append((time.thread_time_ns() - started) / len(requests) / 1e3)
    return sorted(taken)


def on_the_loop(name: str, query: bytes = b"", **changes: object) -> None:
    settings = msgspec.structs.replace(AccessLogSettings(), **changes)
    writer = _Nowhere(os.open(os.devnull, os.O_WRONLY))
    log = AccessLog(settings, Recorder(settings), writer)
    taken = rounds(log, exchanges(query))
    print(f"{name:44} {taken[0]:6.2f} µs at least, {taken[ROUNDS // 2]:6.2f} µs median")


def in_the_process(name: str, writer: LineWriter) -> None:
    """The pace is that of a busy worker, so that batches are as large as there."""
    settings = AccessLogSettings()
    log = AccessLog(settings, Recorder(settings), writer)
    requests = exchanges()
    writer.start()
    started = time.process_time()
    count = 0
    ends = time.monotonic() + 4.0
    while time.monotonic() < ends:
        now = time.monotonic()
        for exchange in requests[:500]:
            log.add(exchange, now)
        log.flush()
        count += 500
        time.sleep(0.1)
    writer.end()
    while not writer.is_ended:
        time.sleep(0.01)
    cost = (time.process_time() - started) / count * 1e6
    print(f"{name:44} {cost:6.2f} µs, {writer.dropped} lines dropped")


def main() -> None:
    print("on the loop, of one request:")
    on_the_loop("ordinary")
    on_the_loop("without ids of users", units="none")
    on_the_loop("with a query", query=b"limit=10&api_key=secret")
    on_the_loop("1 % of ordinary ones", sample=0.01)
    print("in the process, of one request, writing included:")
    with tempfile.TemporaryDirectory() as folder:
        in_the_process("to a file", LineWriter(Path(folder) / "access.log"))
    reader = subprocess.Popen(
        [sys.executable, "-c", "import os\nwhile os.read(0, 65536): pass"], stdin=subprocess.PIPE
    )
    assert reader.stdin is not None
    in_the_process("to a pipe", LineWriter(reader.stdin.fileno()))
    reader.stdin.close()
    reader.wait()


if __name__ == "__main__":
    main()
