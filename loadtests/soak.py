"""Half an hour of trouble: `python -m loadtests.soak --minutes 30`, or `make soak`.

A gateway with two workers and two versions of two endpoints each, under mixed load, while endpoints
are killed, frozen and started again, weights and lists move, clients leave in the middle of streams
and uploads, and the workers are replaced now and then. Afterwards

- every failed request must be explained: something was wrong with an endpoint of its route at that
  time, or the client left by itself;
- every complete answer must be exact;
- descriptors, connections, requests in flight and memory of the workers must be back where they
  were when the load had settled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import uvloop

from loadtests.gateway_under_test import Running, running_gateway
from loadtests.meter import private_bytes
from loadtests.soak_model import EVENTS, event

CLIENTS = 24
THINKING_SECONDS = 0.05  # at most, between two requests
CLOSING_SECONDS = 3.0  # what a fault may still break after its end: an ejection has other bounds
SETTLING_SECONDS = 20.0
_FAILURES = frozenset({500, 502, 503, 504})


@dataclass(slots=True)
class Model:
    """One endpoint, in a process of its own, always on the same port."""

    version: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    faults: list[tuple[float, float]] = field(default_factory=list)  # from, to

    def start(self) -> None:
        command = [sys.executable, "-m", "loadtests.soak_model", str(self.port)]
        self.process = subprocess.Popen(command, start_new_session=True)

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.send_signal(number)
            self.process.wait()
            self.process = None


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    done: Counter[str] = field(default_factory=Counter)
    left: int = 0  # clients that went away on purpose
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    inexact: list[str] = field(default_factory=list)


class Soak:
    def __init__(self, gateway: Running, models: list[Model], ends: float) -> None:
        self.gateway = gateway
        self.models = models
        self.ends = ends
        self.tally = Tally()
        self.failures: list[tuple[float, float, str]] = []
        self.samples: list[tuple[float, int, int, int]] = []  # time, bytes, descriptors, requests
        self.replacements: list[tuple[float, float]] = []

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends

    # Clients

    async def client(self, number: int) -> None:
        die = random.Random(number)
        kinds = (self.get, self.post, self.upload, self.stream, self.leave, self.pipeline)
        while not self.is_over:
            begun = time.monotonic()
            kind = die.choices(kinds, weights=(30, 30, 5, 20, 10, 5))[0]
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.data_port)
            except OSError as error:
                self.failed(begun, f"connect: {error!r}")
                await asyncio.sleep(0.05)
                continue
            try:
                async with asyncio.timeout(60):
                    for _ in range(die.randint(1, 20)):
                        await asyncio.sleep(die.random() * THINKING_SECONDS)
                        begun = time.monotonic()
                        if not await kind(reader, writer, die) or self.is_over:
                            break
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                self.failed(begun, f"{kind.__name__}: {error!r}")
            finally:
                writer.transport.abort()

    async def get(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, die: random.Random
    ) -> bool:
        writer.write(self.head("GET", f"/small/{die.randint(1, 9)}", die))
        return await self.answer(reader, "get", b"ok")

    async def post(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, die: random.Random
    ) -> bool:
        body = die.randbytes(die.randint(1, 2000))
        writer.write(self.head("POST", "/echo", die, f"Content-Length: {len(body)}") + body)
        return await self.answer(reader, "post", body)

    async def upload(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, die: random.Random
    ) -> bool:
        body = die.randbytes(65536) * die.randint(1, 30)
        writer.write(self.head("POST", "/echo", die, "Transfer-Encoding: chunked"))
        for start in range(0, len(body), 50_000):
            piece = body[start : start + 50_000]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return await self.answer(reader, "upload", body)

    async def stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, die: random.Random
    ) -> bool:
        writer.write(self.head("GET", "/stream", die))
        return await self.answer(reader, "stream", b"".join(event(n) for n in range(EVENTS)))

    async def leave(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, die: random.Random
    ) -> bool:
        if die.random() < 0.5:
            writer.write(self.head("GET", "/stream", die))
            await reader.read(die.randint(1, 2000))
        else:
            writer.write(self.head("POST", "/echo", die, "Content-Length: 1000000"))
            writer.write(die.randbytes(die.randint(1, 200_000)))
            await asyncio.sleep(die.random() * 0.05)
        self.tally.left += 1
        return False

    async def pipeline(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, die: random.Random
    ) -> bool:
        count = die.randint(2, 10)
        writer.write(b"".join(self.head("GET", "/small/1", die) for _ in range(count)))
        for _ in range(count):
            if not await self.answer(reader, "pipelined", b"ok"):
                return False
        return True

    def head(self, method: str, path: str, die: random.Random, *fields: str) -> bytes:
        user = f"X-User-Id: user-{die.randint(1, 500)}"
        lines = [f"{method} {path} HTTP/1.1", "Host: soak", user, *fields]
        return "\r\n".join([*lines, "", ""]).encode()

    async def answer(self, reader: asyncio.StreamReader, kind: str, wanted: bytes) -> bool:
        """Read one answer; False when the connection ends with it."""
        begun = time.monotonic()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        status = int(lines[0].split()[1])
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(fields.get("content-length", "0")))
        if status in _FAILURES:
            self.failed(begun, f"{kind}: {status} {body[:200]!r}")
        elif status != 200 or body != wanted:
            self.tally.inexact.append(f"{kind}: {status}, {len(body)} bytes for {len(wanted)}")
        else:
            self.tally.done[kind] += 1
        return fields.get("connection") != "close"

    def failed(self, begun: float, what: str) -> None:
        self.failures.append((begun, time.monotonic(), what))

    # Trouble

    async def trouble(self) -> None:
        die = random.Random(4711)
        while not self.is_over:
            await asyncio.sleep(die.uniform(1.0, 4.0))
            model = die.choice(self.models)
            begun = time.monotonic()
            model.faults.append((begun, float("inf")))
            if die.random() < 0.6:
                model.end()
                await asyncio.sleep(die.uniform(0.2, 3.0))
                model.start()
                await self.until_it_answers(model)
            else:
                assert model.process is not None
                model.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(die.uniform(0.2, 3.0))
                model.process.send_signal(signal.SIGCONT)
            model.faults[-1] = (begun, time.monotonic())

    async def until_it_answers(self, model: Model) -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", model.port)
                writer.close()
                return
            await asyncio.sleep(0.02)

    async def operator(self) -> None:
        die = random.Random(7)
        store = self.gateway.store
        while not self.is_over:
            await asyncio.sleep(0.3)
            await store.call("HSET", "gray:route:chat:weights", "v2", str(die.randint(0, 100)))
            user = f"user-{die.randint(1, 500)}"
            await store.call(die.choice(("SADD", "SREM")), "gray:route:chat:whitelist:v2", user)

    async def watch(self) -> None:
        while not self.is_over:
            await asyncio.sleep(5.0)
            self.samples.append(self.sample())

    def sample(self) -> tuple[float, int, int, int]:
        pids = self.gateway.workers.values()
        memory = sum(private_bytes(pid) for pid in pids)
        descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)  # noqa: PTH208
        return time.monotonic(), memory, descriptors, sum(self.tally.done.values())

    # The judgement

    def judge(self) -> None:
        """A failure is explained by a fault of any endpoint that was on while it lasted."""
        faults = [fault for model in self.models for fault in model.faults]
        for begun, ended, what in self.failures:
            reason = what if len(what) < 100 else what.partition("{")[0] + _code(what)
            if any(at - 0.1 <= ended and begun <= to + CLOSING_SECONDS for at, to in faults):
                self.tally.explained[reason] += 1
            else:
                self.tally.unexplained.append(what)


def _code(what: str) -> str:
    return next(iter(re.findall(r'"code":"([a-z_]+)"', what)), "")


def gauges(gateway: Running) -> dict[str, float]:
    """What is under way, by the gateway's own account."""
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        name, _, value = line.rpartition(" ")
        plain = name.partition("{")[0]
        if plain in ("graygate_requests_in_flight", "graygate_connections"):
            found[plain] = found.get(plain, 0.0) + float(value)
    return found


async def soak(minutes: float) -> int:
    async with running_gateway(workers=2) as gateway:
        models = [Model(version, _free_port()) for version in ("v1", "v1", "v2", "v2")]
        try:
            for model in models:
                model.start()
            for version in ("v1", "v2"):
                urls = [f"http://127.0.0.1:{m.port}" for m in models if m.version == version]
                await gateway.store.call(
                    "HSET", "gray:route:chat:versions", version, " ".join(urls)
                )
            run = Soak(gateway, models, time.monotonic() + minutes * 60)
            for model in models:
                await run.until_it_answers(model)
            await asyncio.sleep(0.5)
            async with asyncio.TaskGroup() as tasks:
                for number in range(CLIENTS):
                    tasks.create_task(run.client(number))
                for work in (run.trouble(), run.operator(), run.watch()):
                    tasks.create_task(work)
            await asyncio.sleep(SETTLING_SECONDS)
            run.judge()
            return report(run, minutes)
        finally:
            for model in models:
                model.end()


def report(run: Soak, minutes: float) -> int:
    """Print what was seen; the number of things that should not be."""
    tally, wrong = run.tally, 0
    total = sum(tally.done.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in tally.done.most_common())
    faults = sum(len(model.faults) for model in run.models)
    print(f"{minutes:g} min: {total} exact answers ({kinds}); {tally.left} clients left.")
    print(f"{faults} faults; failed and explained by them: {dict(tally.explained)}.")
    for name, found in (("unexplained", tally.unexplained), ("inexact", tally.inexact)):
        print(f"{name}: {len(found)} {found[:5]}")
        wrong += len(found)
    samples = run.samples
    for at in samples[:: max(1, len(samples) // 12)]:
        print(f"  {(at[0] - samples[0][0]) / 60:5.1f} min {at[1] / 2**20:8.1f} MiB {at[2]:5d} fds")
    _, memory, descriptors, _ = run.sample()
    quarter = samples[len(samples) // 4 : len(samples) // 2] or samples
    early = sorted(sample[1] for sample in quarter)[len(quarter) // 2]
    late = sorted(sample[1] for sample in samples[-len(quarter) :])[len(quarter) // 2]
    growth = (late - early) / 2**20
    print(f"memory of the workers: {early / 2**20:.1f} -> {late / 2**20:.1f} MiB ({growth:+.1f}).")
    print(f"after the load: {memory / 2**20:.1f} MiB, {descriptors} descriptors.")
    under_way = gauges(run.gateway)
    print(f"under way after the load: {json.dumps(under_way)}")
    wrong += growth > 8
    wrong += any(value != 0 for value in under_way.values())
    print("all is well" if not wrong else f"{wrong} things are not well")
    return wrong


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    sys.exit(1 if uvloop.run(soak(parser.parse_args().minutes)) else 0)


if __name__ == "__main__":
    main()
