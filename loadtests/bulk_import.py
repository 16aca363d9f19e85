"""A million ids by `graygate whitelist import`: how long, and how much memory at the most.

    python -m loadtests.bulk_import [--ids 1000000]

A real gateway with two workers serves requests of a stranger meanwhile, every 2 ms on a connection
to each worker; the command runs as people run it, in a process of its own. Reported for a first
import, the same again, a replacement of half of the ids and an export: seconds, the most memory
that the command and the control process ever held, and what became of those requests.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loadtests.figures import HEADINGS, row
from loadtests.gateway_under_test import Running, running_gateway
from loadtests.meter import children, cpu_seconds, parent
from loadtests.whitelist import Prober

KEY = "gray:route:chat:whitelist:v2"


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ids", type=int, default=1_000_000)
    ids = arguments.parse_args().ids
    with tempfile.TemporaryDirectory(prefix="graygate-") as folder:
        whole, other = Path(folder) / "whole", Path(folder) / "other"
        _write(whole, range(ids))
        _write(other, range(ids // 2, ids + ids // 2))
        # Connections of the prober are to last.
        limits = {
            "GRAYGATE_LIMITS__KEEPALIVE_REQUESTS": "1000000000",
            "GRAYGATE_LIMITS__KEEPALIVE_SECONDS": "86400",
        }
        async with running_gateway(2, limits) as gateway:
            control = _control(gateway)
            print(f"{ids:,} ids, 2 workers; control holds {_peak_mb(control):.0f} MB before")
            rows = []
            heads = ("seconds", "CPU control", "in the store", "command", "control")
            print(f"{'':22s} " + " ".join(f"{head:>12s}" for head in heads))
            async with Prober(gateway) as prober:
                await asyncio.sleep(2)
                rows.append(row("requests before", prober.taken()))
                for name, words in (
                    ("first import", ["import", "chat", "v2", str(whole)]),
                    ("the same file again", ["import", "chat", "v2", str(whole)]),
                    ("half replaced", ["import", "chat", "v2", str(other), "--replace", "--yes"]),
                    ("export", ["export", "chat", "v2", str(Path(folder) / "back")]),
                ):
                    used = cpu_seconds(control)
                    seconds, peak = await asyncio.to_thread(_run, gateway, words)
                    count = await gateway.store.call("SCARD", KEY)
                    rows.append(row(f"requests during: {name}", prober.taken()))
                    most = f"{peak:9.0f} MB {_peak_mb(control):9.0f} MB"
                    took = f"{seconds:12.2f} {cpu_seconds(control) - used:12.2f}"
                    print(f"{name:22s} {took} {count:>12} {most}", flush=True)
                last = await prober.until(f"user-{ids + ids // 2 - 1:08d}", "v2")
            print(f"in force in all workers {last / 1000:.1f} s after the last command")
            print("milliseconds")
            print(HEADINGS)
            print("\n".join(rows))


def _write(file: Path, numbers: range) -> None:
    with file.open("w") as out:
        out.writelines(f"user-{number:08d}\n" for number in numbers)


def _run(gateway: Running, words: list[str]) -> tuple[float, float]:
    """Seconds, and the most megabytes that the command held."""
    command = [sys.executable, "-m", "gateway.cli", "whitelist", *words]
    environment = {**os.environ, "GRAYGATE_GATEWAY": gateway.admin_url}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def _control(gateway: Running) -> int:
    supervisor = parent(next(iter(gateway.workers.values())))
    (control,) = set(children(supervisor)) - set(gateway.workers.values())
    return control


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} does not tell its memory")


if __name__ == "__main__":
    asyncio.run(main())
