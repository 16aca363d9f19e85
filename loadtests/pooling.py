"""What one request costs in the pools: `python -m loadtests.pooling [ROUNDS]`.

Prints the least, the median and the most of several rounds, in microseconds: a place, an endpoint,
an idle connection, and all of it given back. What the measuring loop itself costs is taken off.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator

from gateway.config.settings import Settings
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Route, Table, compile_route
from gateway.upstream.connection import UpstreamConnection, new_inlet
from gateway.upstream.fleet import Fleet
from gateway.upstream.group import Group
from loadtests.decision import ROUNDS, per_call, print_row


class _Nowhere(asyncio.Transport):
    """Takes everything and says nothing."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        pass


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"{'microseconds per request':<44}{'min':>9}{'median':>9}{'max':>9}")
    for name, run in cases():
        empty = min(per_call(lambda: None) for _ in range(rounds))
        print_row(name, sorted(per_call(run) - empty for _ in range(rounds)))
    print(f"{'microseconds per table':<44}{'min':>9}{'median':>9}{'max':>9}")
    print_row("Fleet.follow, one of 1,000 routes changed", sorted(followed(rounds)))
    print_row("Fleet.sweep, 1,000 routes", sorted(swept(rounds)))


def cases() -> Iterator[tuple[str, Callable[[], None]]]:
    yield "one endpoint", requesting(1)
    for count in (2, 4, 16):
        yield f"{count} endpoints, the less busy of two", requesting(count)
    for count in (4, 16):
        yield f"{count} endpoints, by rendezvous", requesting(count, "rendezvous")
    yield "4 endpoints, one of them ejected", requesting(4, ejected=1)


def requesting(count: int, balance: str = "least", ejected: int = 0) -> Callable[[], None]:
    group = version_of(count, balance)
    clock = time.monotonic
    for endpoint in group.endpoints:
        connection = UpstreamConnection(LineMemo(), Limits(), new_inlet())
        connection.connection_made(_Nowhere())
        endpoint.give_back(connection, float("inf"))  # never too old
    for endpoint in group.endpoints[:ejected]:
        endpoint.health.ejected_until = float("inf")

    def request() -> None:
        group.try_enter()
        now = clock()
        group.is_down(now)
        endpoint = group.pick(b"user-00001234")
        assert endpoint is not None
        endpoint.started()
        connection = endpoint.take_idle(now)
        assert connection is not None
        endpoint.succeeded()
        endpoint.finished()
        endpoint.give_back(connection, now)
        group.leave()

    return request


def fleet() -> Fleet:
    return Fleet(
        Settings(),
        lambda: UpstreamConnection(LineMemo(), Limits(), new_inlet()),
        draw=random.Random(1).random,
    )


def version_of(count: int, balance: str) -> Group:
    urls = tuple(f"http://10.0.0.{number}:8000" for number in range(count))
    made = fleet()
    made.follow(Table([route("chat", urls, balance)]))
    return made.group("chat", "v1")


def route(name: str, urls: tuple[str, ...], balance: str = "least") -> Route:
    spec = RouteSpec(
        name=name,
        stable="v1",
        versions={"v1": VersionSpec(urls=urls), "v2": VersionSpec(urls=urls)},
        salt=name,
        balance=balance,
    )
    return compile_route(spec, {}, Identity())


def many() -> list[Route]:
    return [route(f"route-{number}", ("http://10.0.0.1:8000",)) for number in range(1000)]


def followed(rounds: int) -> Iterator[float]:
    routes, made = many(), fleet()
    made.follow(Table(routes))
    for _ in range(rounds):
        routes[7] = route("route-7", ("http://10.0.0.1:8000",))
        table = Table(routes)
        started = time.perf_counter()
        made.follow(table)
        yield (time.perf_counter() - started) * 1e6


def swept(rounds: int) -> Iterator[float]:
    made = fleet()
    made.follow(Table(many()))
    for _ in range(rounds):
        started = time.perf_counter()
        made.sweep(time.monotonic())
        yield (time.perf_counter() - started) * 1e6


if __name__ == "__main__":
    main()
