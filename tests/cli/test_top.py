from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import sys
import termios
import threading

import pytest

from gateway.cli.top import Latencies, Numbers, Route, Version, screen
from gateway.metrics.numbers import Counted
from gateway.metrics.numbers import Numbers as Counts
from tests.cli.live import Live
from tests.cli.test_start import environment
from tests.servers import wait_until

NOTHING = Latencies(None, None, None)


def version(rate: float | None = 1234.5, seconds: float | None = 0.0123) -> Version:
    latencies = Latencies(seconds, seconds, seconds)
    return Version(rate, 0.125, 0.1253, 0.00012, 17, latencies, latencies)


def counted(finished: int) -> Counted:
    numbers = Counts()
    for _ in range(finished):
        numbers.finished(200, 0.1)
    return Counted(
        decisions={("chat", "v1", "stable"): finished}, numbers={("chat", "v1"): numbers}
    )


def test_versions_stand_below_each_other_stable_first() -> None:
    idle = Version(None, 0.0, None, None, 0, NOTHING, NOTHING)
    told = Numbers(10, {"chat": Route("v1", False, {"v0": idle, "v1": version()})})
    head, stable, candidate = screen(told)
    assert head.split() == [
        *("ROUTE", "VERSION", "REQ/S", "WANT", "GOT", "ERR", "P50", "P95", "P99", "TTFB95", "FLY")
    ]
    assert stable.split() == [
        *("chat", "v1*", "1234", "12.5%", "12.5%", "0.0%", "12ms", "12ms", "12ms", "12ms", "17")
    ]
    assert candidate.split() == ["v0", "-", "0%", "-", "-", "-", "-", "-", "-", "0"]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("seconds", [0.001, 0.9999, 1.0, 99.9, 655.36])
def test_no_line_is_longer_than_the_terminal_is_wide(columns: int, seconds: float) -> None:
    told = Numbers(
        10,
        {
            "r" * 64: Route("v" * 64, False, {"v" * 64: version(99999, seconds)}),
            "short": Route("v1", False, {"v1": version(1, seconds)}),
        },
    )
    assert all(len(line) <= columns for line in screen(told, columns))


def test_a_gateway_without_routes_says_so(up: Live) -> None:
    up.out("route", "delete", "chat", "--yes")
    wait_until(lambda: up.held() is None, "the route is gone")
    assert up.out("top", "--once").splitlines()[1] == "No route is in force."


def test_once_prints_one_table_or_one_object(up: Live) -> None:
    wait_until(lambda: json.loads(up.out("top", "--once", "--json"))["seconds"] > 0, "it looks")
    up.side.counted = counted(10)

    def requests() -> int:
        told = json.loads(up.out("top", "chat", "--once", "--json"))
        return int(told["routes"]["chat"]["versions"]["v1"]["requests"])

    wait_until(lambda: requests() == 10, "they are counted")
    head, names, stable, *others = up.out("top", "--once", "--seconds", "60").splitlines()
    assert head.startswith("last ")
    assert names.startswith("ROUTE")
    assert stable.split()[:2] == ["chat", "v1*"]
    assert [line.split()[0] for line in others] == ["v2", "v3"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["top", "ghost", "--once"], 1, "There is no route 'ghost' in force;"),
        (["top", "--seconds", "61"], 2, "Invalid value for '--seconds'"),
        (["top", "chat", "rank"], 2, "Got unexpected extra argument (rank)"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")


def test_on_a_terminal_it_shows_tables_until_q_and_leaves_the_terminal_as_it_was(up: Live) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(theirs)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "gateway.cli", "top"],
        environment(GRAYGATE_GATEWAY=up.url),
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs, fd) for fd in (0, 1, 2)],
    )
    shown = bytearray()

    def read() -> None:
        while b"\x1b[?25h" not in shown:
            shown.extend(os.read(ours, 65536))

    reading = threading.Thread(target=read)
    reading.start()
    wait_until(lambda: shown.count(b"ROUTE") >= 2, "two tables are shown")
    os.write(ours, b"q")
    _, status = os.waitpid(pid, 0)
    reading.join(20)
    assert os.waitstatus_to_exitcode(status) == 0
    assert shown.startswith(b"\x1b[?25l")
    assert b"chat" in shown
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
