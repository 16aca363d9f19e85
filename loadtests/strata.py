"""What the judge's numbers cost: `python -m loadtests.strata [--rate 1000] [--seconds 60]`.

Two workers with half of the requests each, in virtual time, and a real store: processor time of a
worker for each request and each second, and of control for each second, by the number of routes
that the requests are spread over. A percentage is of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.config.settings import Redis
from gateway.demo.store import EmbeddedStore
from gateway.metrics.recorder import Cell, StrataRecorder
from gateway.process.channel import Strata, decode_for_control, encode
from gateway.process.strata import StrataPublisher, StrataSums
from gateway.state.keys import Keys, Part
from gateway.state.store import WorkLink
from gateway.state.strata import StrataLog
from loadtests.figures import HEADINGS, row

WORKERS = 2
USERS = 3000
SHARE = 0.1  # of the candidate
LENGTH_BYTES = 4  # before a frame's body
START = 1_700_000_000


class Clock:
    """Processor time, in microseconds, by what it was spent on."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def running(self, what: str, calls: int = 1) -> Iterator[None]:
        before = time.process_time()
        yield
        if calls:
            self.spent[what].append((time.process_time() - before) * 1e6 / calls)


class Worker:
    """A recorder, and requests that arrive and end."""

    def __init__(self, routes: int, seed: int) -> None:
        self.recorder = StrataRecorder()
        self.recorder.offset = float(START)
        chance = random.Random(seed)
        names = [f"route-{number}" for number in range(routes)]
        versions = {"v1": ("http://a", "http://b"), "v2": ("http://c",)}
        tallies = [self.recorder.follow(name, versions, "stage") for name in names]
        # Drawn beforehand: drawing costs more than what is measured.
        self._drawn = [
            (
                chance.choice(tallies)["v2" if chance.random() < SHARE else "v1"],
                b"user-%08d" % chance.randrange(USERS),
                chance.lognormvariate(-1.6, 1.0),
                chance.random() < 0.002,
            )
            for _ in range(20_000)
        ]
        self._at = 0

    def second(self, now: float, requests: int) -> None:
        """This many requests arrive and end."""
        drawn, at = self._drawn, self._at
        ended: list[tuple[Cell, bytes, float, bool]] = []
        for number in range(requests):
            tally, unit, seconds, is_bad = drawn[(at + number) % len(drawn)]
            ended.append((tally.arrived(now + number / requests, unit), unit, seconds, is_bad))
        for cell, unit, seconds, is_bad in ended:
            cell.ended(is_bad, unit, "http://a", seconds, seconds / 2)
        self._at = (at + requests) % len(drawn)

    def frame(self, second: int) -> bytes:
        cells, events, sketches = self.recorder.take(second)
        strata = Strata(
            sent=second, cells=tuple(cells), events=tuple(events), sketches=tuple(sketches)
        )
        return encode(strata)


async def measure(log: StrataLog, routes: int, rate: int, seconds: int) -> None:
    clock, sums = Clock(), StrataSums()
    publisher = StrataPublisher(sums, log, "loadtest")
    workers = [Worker(routes, seed) for seed in range(WORKERS)]
    each = rate // WORKERS
    sent_bytes = []
    for second in range(seconds):
        frames = []
        for worker in workers:
            with clock.running("worker, a request", each):
                worker.second(float(second), each)
            with clock.running("worker, counting one in a row", each):
                worker.recorder.digest()
            with clock.running("worker, a second"):
                frames.append(worker.frame(START + second))
        sent_bytes.append(sum(map(len, frames)) / WORKERS)
        with clock.running("control, a second"):
            for frame in frames:
                message = decode_for_control(frame[LENGTH_BYTES:])
                assert isinstance(message, Strata)
                sums.put(message)
            await publisher.publish()
        with clock.running("control, a scrape"):
            sums.units((START + second) // 60)
    print(f"\n{rate} requests/s, {routes} routes; microseconds")
    print(HEADINGS)
    for what, spent in clock.spent.items():
        print(row(what, spent))
    means = {what: sum(spent) / len(spent) for what, spent in clock.spent.items()}
    of_request = means["worker, a request"] + means["worker, counting one in a row"]
    of_worker = of_request * each + means["worker, a second"]
    print(f"a worker: {of_worker / 1e4:.2f} % of a core, {sum(sent_bytes) / seconds:.0f} bytes/s")
    print(f"control: {means['control, a second'] / 1e4:.2f} % of a core")


async def run(rate: int, seconds: int, routes: list[int]) -> None:
    with tempfile.TemporaryDirectory(prefix="graygate-") as folder:
        store = EmbeddedStore(Path(folder) / "store", port=0)
        store.start()
        work = WorkLink(Redis(url=store.url, timeout_seconds=10.0))
        try:
            for count in routes:
                await measure(StrataLog(work.get, Keys()), count, rate, seconds)
            key = Keys().part("route-0", Part.STRATA)
            link = await work.get()
            usage, length = await link.pipeline([("MEMORY", "USAGE", key), ("XLEN", key)])
            print(f"\nthe stream of a route: {length} entries, {usage} bytes")
        finally:
            await work.close()
            store.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--routes", type=int, nargs="+", default=[1, 10, 100])
    given = parser.parse_args()
    asyncio.run(run(given.rate, given.seconds, given.routes))


if __name__ == "__main__":
    main()
