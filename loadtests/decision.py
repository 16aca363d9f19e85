"""What one decision costs: `python -m loadtests.decision [ROUNDS]`.

Prints the least, the median and the most of several rounds, in microseconds per call; what the
measuring loop itself costs is taken off. Ratios travel between machines, absolute numbers do not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from statistics import median

from gateway.routing.bucket import bucket
from gateway.routing.decide import decide
from gateway.routing.facts import RequestFacts
from gateway.routing.lists import PackedTable, TableBuilder, whitelist_name
from gateway.routing.rules import Lists
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from gateway.routing.table import Identity, Route, Table, compile_route

ROUNDS = 7
CALLS = 20_000
LARGE = 1_000_000
SLICE = 1000
URL = "http://127.0.0.1:9001"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"{'microseconds per call':<44}{'min':>9}{'median':>9}{'max':>9}")
    for name, run in cases():
        empty = min(per_call(lambda: None) for _ in range(rounds))
        times = sorted(per_call(run) - empty for _ in range(rounds))
        print_row(name, times)
    table, per_id, slices = build(list(ids("user", LARGE)))
    print_row(f"TableBuilder.add, per id of {LARGE:,}", sorted(per_id))
    print_row(f"TableBuilder.add, a slice of {SLICE:,}", sorted(slices))
    print(f"{table!r}, {len(table.buffer) / len(table):.1f} bytes per id")


def print_row(name: str, times: list[float]) -> None:
    print(f"{name:<44}{times[0]:>9.3f}{median(times):>9.3f}{times[-1]:>9.3f}")


def per_call(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        run()
    return (time.perf_counter() - started) / CALLS * 1e6


def cases() -> Iterator[tuple[str, Callable[[], object]]]:
    unit = b"user-00001234"
    yield "bucket", lambda: bucket(b"chat", unit)
    small = {whitelist_name("chat", "v2"): frozenset(ids("listed", 1000))}
    yield "decide, weights", deciding(route({}))
    yield "decide, weights and whitelist of 1,000", deciding(route(small))
    packed, _, _ = build(list(ids("listed", LARGE)))
    large = {whitelist_name("chat", "v2"): packed}
    yield f"decide, weights and whitelist of {LARGE:,}", deciding(route(large))
    yield "decide, the same and ten rules", deciding(route(small, rules()))
    for count in (1, 1000):
        yield f"match, {count:,} routes", matching(count)
    mixed = cycle([*islice(ids("listed", LARGE), 0, LARGE, 97), *ids("stranger", LARGE // 97)])
    yield f"PackedTable of {LARGE:,}, half of them hits", lambda: next(mixed) in packed


def ids(prefix: str, count: int) -> Iterator[bytes]:
    return (b"%s-%08d" % (prefix.encode(), number) for number in range(count))


def rules() -> tuple[RuleSpec, ...]:
    whens = ({"header": {f"x-group-{number}": "inside"}} for number in range(10))
    return tuple(RuleSpec(when=when, version="v2") for when in whens)


def route(lists: Lists, listed: tuple[RuleSpec, ...] = (), name: str = "chat") -> Route:
    spec = RouteSpec(
        name=name,
        stable="v1",
        versions={"v1": VersionSpec(urls=(URL,)), "v2": VersionSpec(urls=(URL,))},
        weights={"v2": 10.0},
        rules=listed,
        paths=("/",) if name == "chat" else (f"/{name}/v1",),
        salt=name,
    )
    return compile_route(spec, lists, Identity())


def request(path: bytes = b"/v1/chat/completions") -> RequestFacts:
    headers = {b"x-user-id": b"user-00001234", b"accept": b"*/*", b"user-agent": b"load"}
    return RequestFacts("POST", b"models.example.com", path, b"", headers, "127.0.0.1", True)


def deciding(compiled: Route) -> Callable[[], object]:
    facts = request()
    return lambda: decide(compiled, facts, now=0.0, draw=float)


def matching(count: int) -> Callable[[], object]:
    table = Table(route({}, name=f"route-{number}") for number in range(count))
    facts = request(b"/route-0/v1/chat/completions")
    return lambda: table.match(facts)


def build(units: list[bytes]) -> tuple[PackedTable, list[float], list[float]]:
    """A table; and how long an id took, per tenth of them, and how long each slice took."""
    builder = TableBuilder(len(units))
    slices: list[float] = []
    for start in range(0, len(units), SLICE):
        part = units[start : start + SLICE]
        started = time.perf_counter()
        builder.add(part)
        slices.append((time.perf_counter() - started) * 1e6)
    tenth = len(slices) // 10
    tenths = (slices[start : start + tenth] for start in range(0, len(slices), tenth))
    return builder.finish(), [sum(part) / len(part) / SLICE for part in tenths], slices


if __name__ == "__main__":
    main()
