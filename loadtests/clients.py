"""The load, in a process of its own: `python -m loadtests.clients`, a job in JSON on its input.

A job names a case, a port, and the processes to watch; they are read at the very start and the very
end of what is measured, after a warm-up of the same kind. Prints the outcome in JSON.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterator

import msgspec
import uvloop

from loadtests.callers import Load
from loadtests.cases import Case, all_cases
from loadtests.cases import streams as held_streams
from loadtests.meter import cpu_seconds, private_bytes, user_and_system
from loadtests.openloop import OpenLoop
from loadtests.streams import Streams

WARM_UP = 0.2  # of the number that is measured
SETTLING = 1000  # requests, connections or streams before memory is looked at for the first time
HELD = 2000  # connections or streams between that and the second look
ATTACKS = 10_000
OPENED_AT_ONCE = 20
OPEN_CONNECTIONS = 256  # of open load
LONG_MS = 60_000


class Job(msgspec.Struct):
    kind: str  # "cpu" or "open"; or "idle", "streams" or "attack", which look at memory
    port: int
    workers: list[int]
    rest: list[int]
    case: str = ""
    seconds: float = 0.0
    rate: float = 0.0  # requests a second, of open load


class Outcome(msgspec.Struct):
    done: int = 0  # requests or chunks, or connections held
    failed: int = 0
    complaint: str = ""  # the first answer that was not 200
    seconds: float = 0.0
    workers_cpu: float = 0.0  # seconds
    rest_cpu: float = 0.0
    workers_user: float = 0.0  # the share that is not the kernel's
    grown_bytes: int = 0
    first_chunks: list[float] = []  # milliseconds, from the request to the first event
    ways: list[float] = []  # milliseconds, from the backend's write to the client
    gaps: list[float] = []  # milliseconds between the events of one stream
    delays: list[float] = []  # milliseconds from when a request was due to its whole answer


class Meter:
    """What the watched processes use from `start` to `stop`."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def start(self) -> None:
        self._workers, self._rest = self._used()
        self._user, self._system = self._shares()
        self._started = time.perf_counter()

    def stop(self, outcome: Outcome) -> None:
        outcome.seconds = time.perf_counter() - self._started
        workers, rest = self._used()
        outcome.workers_cpu = workers - self._workers
        outcome.rest_cpu = rest - self._rest
        user, system = self._shares()
        spent = user - self._user + system - self._system
        outcome.workers_user = (user - self._user) / spent if spent else 0.0

    def memory(self) -> int:
        return sum(private_bytes(pid) for pid in self._job.workers)

    def _used(self) -> tuple[float, float]:
        workers = sum(cpu_seconds(pid) for pid in self._job.workers)
        return workers, sum(cpu_seconds(pid) for pid in self._job.rest)

    def _shares(self) -> tuple[float, float]:
        shares = [user_and_system(pid) for pid in self._job.workers]
        return sum(user for user, _ in shares), sum(system for _, system in shares)


async def run(job: Job) -> Outcome:
    meter = Meter(job)
    if job.kind == "cpu":
        case = all_cases()[job.case]
        return await (_stream if case.pause_ms else _request)(job, case, meter)
    kinds = {"open": _open, "idle": _idle, "streams": _open_streams, "attack": _attack}
    return await kinds[job.kind](job, meter)


async def _request(job: Job, case: Case, meter: Meter) -> Outcome:
    count = int(job.seconds * case.per_second)
    load = Load(job.port, case)
    await load.run(int(count * WARM_UP))
    load.failed = 0
    meter.start()
    await load.run(count)
    outcome = Outcome(done=count, failed=load.failed, complaint=load.complaint)
    meter.stop(outcome)
    load.close()
    return outcome


async def _open(job: Job, meter: Meter) -> Outcome:
    load = OpenLoop(job.port, all_cases()[job.case], job.rate, OPEN_CONNECTIONS)
    await load.run(job.seconds * WARM_UP)
    load.forget()
    meter.start()
    await load.run(job.seconds)
    outcome = Outcome(done=len(load.delays), failed=load.failed, complaint=load.complaint)
    meter.stop(outcome)
    outcome.delays = load.delays
    load.close()
    return outcome


async def _stream(job: Job, case: Case, meter: Meter) -> Outcome:
    streams = Streams(job.port, case.requests())
    await streams.open(case.connections, OPENED_AT_ONCE)
    firsts = streams.first_chunks
    await asyncio.sleep(job.seconds * WARM_UP)
    streams.forget()
    meter.start()
    await asyncio.sleep(job.seconds)
    outcome = Outcome(done=streams.chunks, first_chunks=firsts)
    meter.stop(outcome)
    outcome.failed, outcome.complaint = streams.failed, streams.complaint
    outcome.ways, outcome.gaps = _thinned(streams.ways), _thinned(streams.gaps)
    streams.close()
    return outcome


async def _idle(job: Job, meter: Meter) -> Outcome:
    """Connections that have had one answer and wait for their next request."""
    warm = Load(job.port, all_cases()["post"])
    await warm.run(SETTLING)
    loads = [Load(job.port, _single(warm.requests)) for _ in range(SETTLING + HELD)]
    for load in loads[:SETTLING]:
        await load.run(1)
    before = meter.memory()
    for load in loads[SETTLING:]:
        await load.run(1)
    grown = meter.memory() - before
    failed = warm.failed + sum(load.failed for load in loads)
    for load in [warm, *loads]:
        load.close()
    return Outcome(done=HELD, failed=failed, complaint=warm.complaint, grown_bytes=grown)


def _single(requests: Iterator[bytes]) -> Case:
    return Case("single", "", lambda: requests, connections=1)


async def _open_streams(job: Job, meter: Meter) -> Outcome:
    """Streams that have had their first chunk and wait for the next."""
    streams = Streams(job.port, held_streams("held", HELD, LONG_MS).requests())
    await streams.open(SETTLING, OPENED_AT_ONCE)
    before = meter.memory()
    await streams.open(HELD, OPENED_AT_ONCE)
    outcome = Outcome(done=HELD, grown_bytes=meter.memory() - before)
    outcome.failed, outcome.complaint = streams.failed, streams.complaint
    streams.close()
    return outcome


async def _attack(job: Job, meter: Meter) -> Outcome:
    """Ever new lines: what a proxy remembers of them must be bounded."""
    load = Load(job.port, all_cases()["attack"])
    await load.run(ATTACKS // 10)
    before = meter.memory()
    await load.run(ATTACKS)
    outcome = Outcome(done=ATTACKS, failed=load.failed, grown_bytes=meter.memory() - before)
    load.close()
    return outcome


def _thinned(values: list[float]) -> list[float]:
    """At most some thousands of them, without a change of their distribution."""
    return values[:: 1 + len(values) // 5000]


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    gc.disable()  # short runs; a pass over all connections would hold up their answers
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(job))))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
