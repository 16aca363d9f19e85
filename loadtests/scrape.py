"""Whether a scrape is felt by requests: `python -m loadtests.scrape`.

A gateway with many routes, so that a scrape is thousands of series, and a steady load on one of
them: rounds without and with a scrape each half second, in turn, and the ratio of their p99.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import urllib.request

import uvloop

from loadtests.figures import HEADINGS, row
from loadtests.gateway_under_test import Running, ask, running_gateway

ROUTES = 250
CONNECTIONS = 16
SCRAPE_SECONDS = 0.5


async def plant(gateway: Running, url: str) -> None:
    """Routes that nobody asks for, but everybody who scrapes hears of."""
    for number in range(ROUTES):
        key = f"gray:route:quiet{number}"
        await gateway.store.call("HSET", f"{key}:versions", "v1", url, "v2", url)
        await gateway.store.call("HSET", f"{key}:weights", "v2", "10")
        await gateway.store.call("HSET", key, "stable", "v1", "path", f"/quiet{number}")
        await gateway.store.call("SADD", "gray:routes", f"quiet{number}")
    while True:
        text = await asyncio.to_thread(scrape, gateway)
        if text.count("quiet") >= ROUTES:
            break
        await asyncio.sleep(0.1)


def scrape(gateway: Running) -> str:
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


async def load(gateway: Running, rate: float, seconds: float) -> list[float]:
    """Milliseconds of each request, counted from when it was due."""
    links = [
        await asyncio.open_connection("127.0.0.1", gateway.data_port) for _ in range(CONNECTIONS)
    ]
    begun = time.perf_counter()
    found: list[float] = []

    async def client(number: int) -> None:
        reader, writer = links[number]
        due = begun + number / rate
        while due < begun + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await ask(reader, writer, f"user-{number}")
            found.append((time.perf_counter() - due) * 1000)
            due += CONNECTIONS / rate
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return found


async def scraping(gateway: Running) -> None:
    while True:
        await asyncio.to_thread(scrape, gateway)
        await asyncio.sleep(SCRAPE_SECONDS)


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


async def measure(rate: float, seconds: float, rounds: int) -> None:
    async with running_gateway(workers=1) as gateway:
        url = "http://127.0.0.1:9"
        await plant(gateway, url)
        series = sum(not line.startswith("#") for line in scrape(gateway).splitlines())
        print(f"{series} series, {rate:g} requests/s; milliseconds of a request")
        print(HEADINGS)
        await load(gateway, rate, 1.0)
        ratios = []
        for number in range(rounds):
            quiet = await load(gateway, rate, seconds)
            task = asyncio.create_task(scraping(gateway))
            scraped = await load(gateway, rate, seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            print(row(f"round {number + 1}, nobody scrapes", quiet))
            print(row(f"round {number + 1}, a scrape each {SCRAPE_SECONDS:g} s", scraped))
            ratios.append(p99(scraped) / p99(quiet))
        print(
            "p99 with scraping as a multiple of that without:",
            *(f"{r:.2f}" for r in sorted(ratios)),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    uvloop.run(measure(given.rate, given.seconds, given.rounds))


if __name__ == "__main__":
    main()
