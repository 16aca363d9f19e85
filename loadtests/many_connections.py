"""One worker with 10,000 idle and 2,000 active connections: `python -m loadtests.many_connections`.

    [--idle 10000] [--active 2000] [--rate 1000] [--rounds 3] [--seconds 30] [--roomy]

Requests at random times go over the active connections in turn, once without the idle ones and once
beside them, in each round. Every idle connection has been served one request, and is asked for
another one at the end: who was lost cannot answer. The gateway runs with its default limits. Ends
with 1 when a request failed, a connection was lost, descriptors stayed open, or an idle connection
takes more than the design allows. The loop's lag is the worst of the last 15 to 30 s, so shorter
measurements show that of the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import resource
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from gateway.process.vitals import Pulse
from loadtests.cases import all_cases
from loadtests.contest import backend
from loadtests.gateway_under_test import Running, running_gateway
from loadtests.held import Held
from loadtests.meter import cpu_seconds, pin, private_bytes
from loadtests.openloop import OpenLoop
from loadtests.report import machine, spread, table
from loadtests.roomy import SHARE

SAVED = Path(__file__).parent / "results" / "many_connections.md"
IDLE_BYTES = 4096  # of the worker for each, by the design
CASE = "post"
SPARE = 64  # descriptors for the log, control, endpoints; and connections of others
WARM_UP_SECONDS = 3.0
REST_SECONDS = 2.0  # the lag that is told may reach a little further back than 30 s
PATIENCE_SECONDS = 30.0
_LAG = re.compile(r'^graygate_process_loop_lag_seconds\{process="worker 0"\} (\S+)$', re.M)
_CONNECTIONS = re.compile(r"^graygate_connections(?:\{[^}]*\})? (\S+)$", re.M)


@dataclass(frozen=True)
class Plan:
    idle: int = 10_000
    active: int = 2000
    rate: float = 1000.0
    rounds: int = 3
    seconds: float = 30.0
    is_roomy: bool = False

    @property
    def descriptors(self) -> int:
        """How many the worker must be allowed to open."""
        share = SHARE if self.is_roomy else 0.5
        return int((self.idle + self.active + SPARE) / share) + 1


@dataclass(frozen=True, slots=True)
class Phase:
    """What was seen while the active connections had their load."""

    cpu: float  # microseconds of the worker per request
    half: float  # milliseconds, from when a request was due to its answer
    most: float  # the same of the 99th in a hundred
    lag: float  # milliseconds
    own_lag: float  # of the load's process: when both are late, the machine is
    resident: int  # bytes
    descriptors: int
    connections: int  # by the worker's own count


@dataclass(slots=True)
class Found:
    alone: list[Phase] = field(default_factory=list)
    beside: list[Phase] = field(default_factory=list)
    idle_bytes: float = 0.0  # each, of the first round: later ones find memory that is free
    requests: int = 0
    failed: int = 0
    lost: int = 0
    complaint: str = ""
    before: int = 0  # descriptors of the worker
    after: int = 0


def too_low(plan: Plan, hard: int) -> str:
    """Why this machine cannot carry the plan out; empty if it can."""
    if plan.descriptors <= hard:
        return ""
    share = "three quarters" if plan.is_roomy else "half"
    words = (
        f"{plan.idle:,} idle and {plan.active:,} active connections need a hard limit of "
        f"{plan.descriptors:,} open files, since a worker gives its clients {share} of them; here "
        f"it is {hard:,}. Raise it (LimitNOFILE=, docker run --ulimit nofile=..., "
        "/etc/security/limits.conf), or hold fewer (--idle, --active)"
    )
    return words + ("." if plan.is_roomy else ", or try --roomy.")


async def measure(plan: Plan, gateway: Running, pulse: Pulse, found: Found) -> None:
    (worker,) = gateway.workers.values()
    held = Held(gateway.data_port, all_cases()[CASE].requests())
    found.before = await _descriptors_after_one(worker, held)
    load = OpenLoop(gateway.data_port, all_cases()[CASE], plan.rate, plan.active)
    await load.run(WARM_UP_SECONDS)
    _take(load, found)
    for number in range(plan.rounds):
        found.alone.append(await _phase(plan, gateway, load, pulse, found))
        before, descriptors = private_bytes(worker), _descriptors(worker)
        await held.open(plan.idle)
        if number == 0:
            found.idle_bytes = (private_bytes(worker) - before) / plan.idle
        found.beside.append(await _phase(plan, gateway, load, pulse, found))
        await held.ask_all()
        found.requests += 2 * plan.idle
        held.close()
        # Thousands of ends at once are work of their own, which must not count as the next round's.
        await _until(lambda most=descriptors + SPARE: _descriptors(worker) <= most)  # type: ignore[misc]
        print(f"round {number + 1}: {found.alone[-1]}, {found.beside[-1]}", file=sys.stderr)
    load.close()
    await _until(lambda: _descriptors(worker) <= found.before)
    found.after = _descriptors(worker)
    found.failed += held.failed
    found.lost += held.lost
    found.complaint = found.complaint or held.complaint


async def _descriptors_after_one(worker: int, held: Held) -> int:
    """When its connections are gone: the first request also opens the access log."""
    before = _descriptors(worker)
    await held.open(1)
    held.close()
    await _until(lambda: _descriptors(worker) <= before + 1)
    return _descriptors(worker)


def _take(load: OpenLoop, found: Found) -> None:
    """What has become of the requests so far."""
    found.requests += len(load.delays)
    found.failed += load.failed
    found.complaint = found.complaint or load.complaint
    load.forget()


async def _phase(plan: Plan, gateway: Running, load: OpenLoop, pulse: Pulse, found: Found) -> Phase:
    (worker,) = gateway.workers.values()
    await asyncio.sleep(REST_SECONDS)
    used = cpu_seconds(worker)
    await load.run(plan.seconds)
    used = cpu_seconds(worker) - used
    text = await asyncio.to_thread(_metrics, gateway)
    delays = sorted(load.delays)
    phase = Phase(
        cpu=used / len(delays) * 1e6,
        half=delays[len(delays) // 2],
        most=delays[int(0.99 * len(delays))],
        lag=float(_LAG.findall(text)[0]) * 1000,
        own_lag=pulse.lag_seconds * 1000,
        resident=_resident_bytes(worker),
        descriptors=_descriptors(worker),
        connections=sum(int(float(value)) for value in _CONNECTIONS.findall(text)),
    )
    _take(load, found)
    return phase


def _metrics(gateway: Running) -> str:
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _resident_bytes(worker: int) -> int:
    pages = Path(f"/proc/{worker}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _descriptors(worker: int) -> int:
    return sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir())


async def _until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not is_so() and time.monotonic() < ends:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def wrong(plan: Plan, found: Found) -> list[str]:
    """What should not be, in sentences."""
    told = []
    wanted = plan.active + plan.idle
    if any(phase.connections < wanted for phase in found.beside):
        told.append(f"The worker did not hold {wanted:,} connections all the time.")
    if found.failed:
        told.append(f"{found.failed} of {found.requests:,} requests failed: {found.complaint}")
    if found.lost:
        told.append(f"{found.lost} connections were lost: {found.complaint}")
    if found.idle_bytes > IDLE_BYTES:
        told.append(f"An idle connection takes {found.idle_bytes:.0f} bytes, not {IDLE_BYTES}.")
    if found.after > found.before:
        told.append(f"{found.after - found.before} descriptors of the worker stayed open.")
    return told


def report(plan: Plan, found: Found, hard: int, load_average: float) -> str:
    share = "three quarters of them (`--roomy`)" if plan.is_roomy else "half of them at most"
    command = "python -m loadtests.many_connections" + (" --roomy" if plan.is_roomy else "")
    lines = [
        "# One worker, many connections",
        "",
        f"Machine: {machine()}; load average {load_average:.1f} at the start. POST of 1 KB with 20 "
        f"headers, {plan.rate:,.0f} requests/s at random times over the active connections in "
        "turn; default limits. Worker on one core, load and backend on the others. The worker may "
        f"open {hard:,} descriptors and gives its clients {share}. Least / median / most of "
        f"{plan.rounds} rounds of {plan.seconds:g} s each way; the ratio and what is added are "
        f"made within a round. `{command}` repeats it.",
        "",
        *table(
            ["", f"{plan.active:,} active", f"and {plan.idle:,} idle", "ratio, or what is added"],
            _rows(found),
        ),
        "",
        f"- Memory of an idle connection: {found.idle_bytes / 1024:.2f} KiB of the worker; the "
        f"design allows {IDLE_BYTES / 1024:.0f}.",
        f"- {found.requests:,} requests, {found.failed} failed; {found.lost} connections lost; "
        "every idle one was asked once more at the end of its round.",
        f"- Descriptors of the worker: {found.before} before, {found.after} after.",
        *(f"- NOT WELL: {words}" for words in wrong(plan, found)),
    ]
    return "\n".join(lines) + "\n"


def _rows(found: Found) -> list[list[str]]:
    def row(
        name: str, value: Callable[[Phase], float], compared: Callable[[float, float], float] | None
    ) -> list[str]:
        alone, beside = [value(p) for p in found.alone], [value(p) for p in found.beside]
        cells = [name, spread(alone), spread(beside)]
        if compared:
            cells.append(spread([compared(a, b) for a, b in zip(alone, beside, strict=True)]))
        return cells

    def added(alone: float, beside: float) -> float:
        return round(beside - alone, 3) + 0.0  # no "-0.00"

    def counted(name: str, value: Callable[[Phase], int]) -> list[str]:
        return [name, *(_numbers(map(value, phases)) for phases in (found.alone, found.beside))]

    return [
        row("µs of the worker per request", lambda p: p.cpu, lambda a, b: b / a),
        row("p50 of an answer, ms", lambda p: p.half, added),
        row("p99 of an answer, ms", lambda p: p.most, added),
        row("worst lag of the loop, ms", lambda p: p.lag, added),
        row("the same of the load, ms", lambda p: p.own_lag, added),
        row("resident memory of the worker, MiB", lambda p: p.resident / 2**20, added),
        counted("client connections, by its own count", lambda p: p.connections),
        counted("descriptors of the worker", lambda p: p.descriptors),
    ]


def _numbers(values: Iterable[int]) -> str:
    return " / ".join(f"{value:,}" for value in sorted(values))


async def run(plan: Plan) -> Found:
    found = Found()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[:-1]) or set(cores))
    program = "loadtests.roomy" if plan.is_roomy else "gateway.cli"
    async with backend() as (port, _), running_gateway(1, program=program) as gateway:
        pin(gateway.workers.values(), cores[-1])
        await _sent_to(gateway, f"http://127.0.0.1:{port}")
        pulse = Pulse(lambda: None)
        beating = asyncio.create_task(pulse.run())
        await measure(plan, gateway, pulse, found)
        beating.cancel()
    return found


async def _sent_to(gateway: Running, url: str) -> None:
    """Returns when the worker sends everything there."""
    before = (await asyncio.to_thread(gateway.state))["sequence"]
    await gateway.store.call("HSET", "gray:route:chat:versions", "v1", url, "v2", url)
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        state = await asyncio.to_thread(gateway.state)
        workers = state["workers"]
        assert isinstance(workers, list)
        held = {worker["sequence"] for worker in workers}
        if state["sequence"] != before and held == {state["sequence"]}:
            return
        assert time.monotonic() < ends, "the endpoint never came into force"
        await asyncio.sleep(0.1)


def _plan() -> Plan:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--idle", type=int, default=Plan.idle)
    arguments.add_argument("--active", type=int, default=Plan.active)
    arguments.add_argument("--rate", type=float, default=Plan.rate, help="requests a second")
    arguments.add_argument("--rounds", type=int, default=Plan.rounds)
    arguments.add_argument("--seconds", type=float, default=Plan.seconds)
    arguments.add_argument(
        "--roomy",
        dest="is_roomy",
        action="store_true",
        help="clients may have three quarters of the worker's descriptors, not half",
    )
    return Plan(**vars(arguments.parse_args()))


def main() -> None:
    plan = _plan()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if words := too_low(plan, hard):
        sys.exit(words)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for us, the backend, the gateway
    load_average = os.getloadavg()[0]
    gc.disable()  # a pass over all connections would hold up their answers
    found = uvloop.run(run(plan))
    text = report(plan, found, hard, load_average)
    print(text)
    SAVED.write_text(text)
    sys.exit(1 if wrong(plan, found) else 0)


if __name__ == "__main__":
    main()
