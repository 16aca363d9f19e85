"""Processor time of one command from its start to its end, against a running gateway.

    python -m loadtests.cli_start [--rounds 15]

User and system time of the whole process, the interpreter's own start included. A command that
controls a gateway must be there at once: 150 ms is the most that it may take.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys

from loadtests.figures import HEADINGS, row
from loadtests.gateway_under_test import running_gateway

MOST_MS = 150.0

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("--version",),
    ("--help",),
    ("get",),
    ("get", "chat"),
    ("weights", "set", "chat", "v2=10"),
    ("whitelist", "add", "chat", "v2", "alice"),
    ("explain", "chat", "alice"),
    ("history", "chat"),
    ("top", "--once"),
    ("events", "--once"),
    ("ready",),
    ("doctor",),  # asks the store itself, and so pays for more
)


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    slow = []
    async with running_gateway(1) as gateway:
        environment = {**os.environ, "GRAYGATE_GATEWAY": gateway.admin_url}
        environment["GRAYGATE_REDIS__URL"] = f"redis://{gateway.store.address}/0"
        print("milliseconds of processor time")
        print(HEADINGS)
        nothing = [await asyncio.to_thread(_cpu_ms, ["-c", "pass"], environment) for _ in range(5)]
        print(row("python -c pass", nothing))
        for command in COMMANDS:
            words = ["-m", "gateway.cli", *command]
            await asyncio.to_thread(_cpu_ms, words, environment)  # leaves compiled files behind
            taken = [await asyncio.to_thread(_cpu_ms, words, environment) for _ in range(rounds)]
            print(row(f"graygate {' '.join(command)}", taken), flush=True)
            if sorted(taken)[len(taken) // 2] > MOST_MS and command[0] != "doctor":
                slow.append(" ".join(command))
    if slow:
        raise SystemExit(f"slower than {MOST_MS:g} ms: {', '.join(slow)}")


def _cpu_ms(words: list[str], environment: dict[str, str]) -> float:
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return (usage.ru_utime + usage.ru_stime) * 1000


if __name__ == "__main__":
    asyncio.run(main())
