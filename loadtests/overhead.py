"""What routing, metrics and access log add to a request: `python -m loadtests.overhead`.

The gateway's own code as in `loadtests.exchange`, in turns: once as it is, with its log going to
/dev/null, and with one part after the other replaced by nothing. The difference within a round is
what the part takes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, cast
from unittest.mock import patch

import msgspec

from gateway.config.settings import AccessLog as LogSettings
from gateway.config.settings import Settings
from gateway.metrics.numbers import Numbers
from gateway.proxy.access_log import AccessLog
from gateway.proxy.downstream import Downstream
from gateway.proxy.line_writer import LineWriter
from gateway.proxy.plane import DataPlane
from gateway.proxy.recorder import Recorder
from gateway.routing.decision import Decision, Reason
from gateway.upstream.connection import UpstreamConnection, new_inlet
from loadtests.exchange import ANSWER, NoSocket, head, plane_with

ROUNDS, REQUESTS = 40, 2000
USERS = 100


class _Nowhere(LineWriter):
    def put(self, data: bytes, lines: int) -> None:
        pass


def nothing(*arguments: object, **named: object) -> None:
    """What stands in place of a part."""


@contextmanager
def without_routing() -> Iterator[None]:
    known = Decision("chat", "v1", Reason.STABLE, b"user")
    with patch("gateway.proxy.exchange.decide", lambda *a, **b: known):
        yield


@contextmanager
def without_metrics() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("finished", "first_byte_after", "gap"):
            stack.enter_context(patch.object(Numbers, name, nothing))
        for place in ("exchange.settle", "delivery.settle"):
            stack.enter_context(patch(f"gateway.proxy.{place}", nothing))
        yield


class Bench:
    """One client connection and one model connection, and all that is between them."""

    def __init__(self) -> None:
        spare = DataPlane(Settings())
        self._model = UpstreamConnection(spare.request_memo, spare.http_limits, new_inlet())
        self._plane = plane_with(self._model)
        self._client = Downstream(self._plane)
        self._client.connection_made(cast(asyncio.Transport, NoSocket()))
        settings = msgspec.structs.replace(LogSettings(), path="/dev/null")
        writer = _Nowhere(os.open(os.devnull, os.O_WRONLY))
        self._log = AccessLog(settings, Recorder(settings), writer)
        # Of the same length: the head of one is replaced by that of the other.
        one = head("POST", 19, b"x" * 1024)
        self._requests = [one.replace(b"alice", b"us%03d" % user) for user in range(USERS)]

    def run(self, *, has_log: bool) -> float:
        """Microseconds of processor time of one request."""
        self._plane.access_log = self._log if has_log else None
        client, model, requests = self._client, self._model, self._requests
        started = time.process_time()
        for number in range(REQUESTS):
            client.data_received(requests[number % USERS])
            model.data_received(ANSWER)
        self._log.flush()
        return (time.process_time() - started) / REQUESTS * 1e6


def main() -> None:
    bench = Bench()
    gc.collect()
    gc.freeze()
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, run in _runs(bench):
            found.setdefault(name, []).append(run())
    everything = found.pop("everything on")
    print(f"{'everything on':34} {_told(everything)} µs at least, median")
    for name, taken in found.items():
        parts = [whole - part for whole, part in zip(everything, taken, strict=True)]
        print(f"{name:34} {min(everything) - min(taken):6.2f} {median(parts):6.2f} µs less")


def _runs(bench: Bench) -> list[tuple[str, Callable[[], float]]]:
    def less(name: str, *parts: Callable[[], Any], has_log: bool = True) -> Any:
        def run() -> float:
            with ExitStack() as stack:
                for part in parts:
                    stack.enter_context(part())
                return bench.run(has_log=has_log)

        return name, run

    return [
        less("everything on"),
        less("without routing", without_routing),
        less("without metrics", without_metrics),
        less("without access log", has_log=False),
        less("without all three", without_routing, without_metrics, has_log=False),
    ]


def _told(values: Sequence[float]) -> str:
    return f"{min(values):6.2f} {median(values):6.2f}"


if __name__ == "__main__":
    main()
