"""`graygate top`: every version side by side, live."""

from __future__ import annotations

import select
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.reach import no_routes
from gateway.cli.shown import plain, print_json
from gateway.errors import GatewayUnreachable

REFRESH_SECONDS = 1.0
LEAST_COLUMNS = 80
_CLEAR = "\x1b[H\x1b[J"
_HIDE, _SHOW = "\x1b[?25l\x1b[?1049h", "\x1b[?1049l\x1b[?25h"

HEADS = ("ROUTE", "VERSION", "REQ/S", "WANT", "GOT", "ERR", "P50", "P95", "P99", "TTFB95", "FLY")


class Latencies(msgspec.Struct):
    p50: float | None
    p95: float | None
    p99: float | None


class Version(msgspec.Struct):
    requests_per_second: float | None
    share_wanted: float
    share_by_weight: float | None
    error_ratio: float | None
    in_flight: int
    duration_seconds: Latencies
    first_byte_seconds: Latencies


class Route(msgspec.Struct):
    stable: str
    paused: bool
    versions: dict[str, Version]


class Numbers(msgspec.Struct):
    seconds: float
    routes: dict[str, Route]


@click.command()
@gateway_flags
@click.option("--once", is_flag=True, help="print one table and end")
@click.option(
    "--seconds", type=click.IntRange(1, 60), default=10, show_default=True,
    help="length of the window that is looked at",
)  # fmt: skip
@click.argument("route", required=False)
def top(gateway: Gateway, as_json: bool, once: bool, seconds: int, route: str | None) -> ExitCode:
    """Watch requests, shares, errors and latencies of every version; q ends.

    WANT is what the weights give a version, GOT the share of the requests that weights decided, FLY
    the requests under way. Off a terminal one table is printed a second, with --json one object.
    """
    is_live = not once and not as_json and sys.stdout.isatty()
    with _screen() if is_live else _plain():
        while True:
            began = time.monotonic()
            _show(gateway, as_json, seconds, route, is_live=is_live, is_one=once)
            if once:
                return ExitCode.OK
            if _is_quit(REFRESH_SECONDS - (time.monotonic() - began), is_live):
                return ExitCode.OK


def _show(
    gateway: Gateway, as_json: bool, seconds: int, route: str | None, *, is_live: bool, is_one: bool
) -> None:
    path = ("numbers",) if route is None else ("routes", route, "numbers")
    try:
        reply = gateway.get(*path, query={"seconds": seconds})
    except GatewayUnreachable as error:
        if not is_live:
            raise
        click.echo(f"{_CLEAR}{plain(str(error))}")  # it may come back
        return
    if as_json:
        print_json(reply.body) if is_one else click.echo(reply.body)
        return
    told = reply.read(Numbers)
    size = shutil.get_terminal_size((LEAST_COLUMNS, 24))
    columns = max(size.columns, LEAST_COLUMNS) if is_live else LEAST_COLUMNS
    lines = [f"last {told.seconds:.0f} s  {gateway.url}  {time.strftime('%H:%M:%S')}"[:columns]]
    lines += screen(told, columns) if told.routes else [no_routes(gateway)]
    if is_live:
        shown = lines[: size.lines - 1]
        if len(lines) > len(shown):
            shown[-1] = f"{len(lines) - len(shown) + 1} more lines; name a route to see less"
        click.echo(_CLEAR + "\n".join(shown))
    else:
        click.echo("\n".join(lines))


def screen(told: Numbers, columns: int = LEAST_COLUMNS) -> list[str]:
    """The table, no line longer than `columns`: names give way, numbers do not."""
    rows = [HEADS, *_rows(told)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    room = columns - sum(widths[2:]) - 2 * (len(HEADS) - 1)
    over = widths[0] + widths[1] - room
    if over > 0:
        widths[0] = max(8, widths[0] - (over + 1) // 2, room - widths[1])
        widths[1] = max(4, room - widths[0])
    return [
        "  ".join(
            _fit(cell, width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _rows(told: Numbers) -> Iterator[tuple[str, ...]]:
    for name, route in told.routes.items():
        ordered = sorted(route.versions, key=lambda version: (version != route.stable, version))
        for number, version in enumerate(ordered):
            one = route.versions[version]
            mark = "*" if version == route.stable else " "
            yield (
                plain(name) if number == 0 else "",
                plain(version) + mark,
                _rate(one.requests_per_second),
                _share(one.share_wanted),
                _share(one.share_by_weight),
                _share(one.error_ratio),
                _time(one.duration_seconds.p50),
                _time(one.duration_seconds.p95),
                _time(one.duration_seconds.p99),
                _time(one.first_byte_seconds.p95),
                str(one.in_flight),
            )


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "~"


def _rate(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}" if number >= 100 else f"{number:.1f}"


def _share(share: float | None) -> str:
    if share is None:
        return "-"
    percent = 100 * share
    return f"{percent:.0f}%" if percent in (0, 100) or percent >= 99.95 else f"{percent:.1f}%"


def _time(seconds: float | None) -> str:
    """Three digits and a unit."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 100 else f"{seconds:.0f}s"


@contextmanager
def _plain() -> Iterator[None]:
    yield


@contextmanager
def _screen() -> Iterator[None]:
    """A screen of its own, and keys as they are typed; both as before at the end."""
    with _keys():
        sys.stdout.write(_HIDE)
        try:
            yield
        finally:
            sys.stdout.write(_SHOW)
            sys.stdout.flush()


@contextmanager
def _keys() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    import termios  # only a terminal has it
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_quit(seconds: float, is_live: bool) -> bool:
    """Waits so long; True when somebody pressed q meanwhile."""
    seconds = max(seconds, 0.0)
    if not is_live or not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    return bool(select.select([sys.stdin], [], [], seconds)[0]) and sys.stdin.read(1) in "qQ"
