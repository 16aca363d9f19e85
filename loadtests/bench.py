"""The gateway beside its peers: processor time and memory, each proxy alone on one core.

    python -m loadtests.bench [--peers graygate,nginx] [--cases get,post] [--rounds 5] [--seconds 2]

Load, backend and store share the other core. All proxies get the same number of requests, after a
warm-up; they take turns case by case, and the order is turned round with each round, so that what
happens on the machine meanwhile meets all of them. Ratios are made within a round. `--seconds` is
the time at the pace a case is made for; a slower proxy takes longer for the same requests.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from loadtests.cases import all_cases
from loadtests.clients import Job, Outcome
from loadtests.contest import backend, job_for, load, present, started, turned
from loadtests.peers import all_peers
from loadtests.pictures import save
from loadtests.profiling import profile
from loadtests.report import NO_PROXY, Measured, report

MEMORY = ("idle", "streams", "attacked")
SAVED = Path(__file__).parent / "results" / "comparison.md"
_KINDS = {"idle": "idle", "streams": "streams", "attacked": "attack"}
_QUIET = 0.5
_MAIN = ("get", "post", "sse100", "sse1000")  # what there are promises about
_OTHER_ROUNDS = 3  # of the rest, at most


async def main() -> None:
    wanted = _arguments()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("The comparison needs two cores: one for the proxy, one for the load.")
    os.sched_setaffinity(0, {cores[0]})
    own_task = asyncio.current_task()
    assert own_task is not None
    # Ended from outside, the comparison must still end what it started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own_task.cancel)
    versions = present(wanted.peers)
    busy = os.getloadavg()[0]
    if busy > _QUIET and not wanted.profile:
        print(f"{busy:.1f} other programs are running; they widen all spreads.", file=sys.stderr)
    measured = Measured(versions, wanted.rounds, wanted.seconds, busy)
    async with backend() as origins:
        if wanted.profile:
            await _profile(wanted.cases, wanted.seconds, origins, cores[1])
            return
        await _measure_cpu(measured, wanted.cases, origins, cores[1])
        await _measure_memory(measured, wanted.cases, origins, cores[1])
    text = report(measured)
    print(text)
    if wanted.save is not None:
        wanted.save.parent.mkdir(parents=True, exist_ok=True)
        wanted.save.write_text(text)
        save(measured, wanted.save.parent)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    peers, cases = list(all_peers()), [*all_cases(), *MEMORY]
    parser.add_argument("--peers", type=_some_of(peers), default=peers, help=",".join(peers))
    parser.add_argument("--cases", type=_some_of(cases), default=cases, help=",".join(cases))
    # Many short rounds: what disturbs a machine often lasts longer than one of them.
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--save", type=Path, help=f"a file; a whole run also goes to {SAVED.name}")
    parser.add_argument("--profile", action="store_true", help="where our worker spends its time")
    wanted = parser.parse_args()
    if wanted.save is None and wanted.peers == peers and wanted.cases == cases:
        wanted.save = SAVED
    return wanted


def _some_of(known: Sequence[str]) -> type[list[str]]:
    class Some(list[str]):
        """Names separated by commas."""

        def __init__(self, text: str) -> None:
            super().__init__(text.split(","))
            unknown = [name for name in self if name not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")

    return Some


async def _measure_cpu(
    measured: Measured, cases: Sequence[str], origins: tuple[int, int], core: int
) -> None:
    chosen = [case for case in cases if case in all_cases()]
    if not chosen:
        return
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.chmod(0o755)  # nginx's worker is not root
        proxies = {
            name: await stack.enter_async_context(started(name, folder, origins, core))
            for name in measured.versions
        }
        for number in range(measured.rounds):
            for case in (case for case in chosen if case in _MAIN or number < _OTHER_ROUNDS):
                for name in turned(list(proxies), number):
                    if case not in all_peers()[name].without:
                        job = job_for("cpu", proxies[name], case, measured.seconds)
                        await _carry_out(measured, name, number, case, job)


async def _measure_memory(
    measured: Measured, cases: Sequence[str], origins: tuple[int, int], core: int
) -> None:
    """Each time in a new process: what an earlier case has left free would hide what is needed."""
    for number in range(min(measured.rounds, _OTHER_ROUNDS)):
        for case in (case for case in cases if case in MEMORY):
            for name in turned([name for name in measured.versions if name != NO_PROXY], number):
                with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                    Path(folder).chmod(0o755)
                    async with started(name, Path(folder), origins, core) as running:
                        job = job_for(_KINDS[case], running)
                        await _carry_out(measured, name, number, case, job)


async def _carry_out(measured: Measured, name: str, number: int, case: str, job: Job) -> None:
    try:
        outcome = await load(job)
    except (RuntimeError, TimeoutError) as error:
        print(f"{name}, {case}: {error}", file=sys.stderr)
        outcome = Outcome(failed=1)
    measured.add(case, name, number, outcome)
    print(
        f"round {number + 1}, {case}, {name}: {measured.in_words(case, outcome)}", file=sys.stderr
    )


async def _profile(
    cases: Sequence[str], seconds: float, origins: tuple[int, int], core: int
) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with started("graygate", Path(folder), origins, core) as gateway:
            for case in (case for case in cases if case in all_cases()):
                job = job_for("cpu", gateway, case, seconds)
                print(f"\n## {all_cases()[case].title}\n")
                print(await profile(gateway.workers[0], load(job), Path(folder)))


if __name__ == "__main__":
    asyncio.run(main())
