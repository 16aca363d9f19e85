"""The demo's route, put into a store.

    python -m gateway.demo.plant v1=http://model-v1:9101 v2=http://model-v2:9102

The store is that of the settings, as `graygate serve` would take it: GRAYGATE_REDIS_URL and the
like. A store that has a route already is left as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterable, Mapping

from gateway.config.load import load
from gateway.config.settings import Redis
from gateway.demo.seed import CANDIDATE, ROUTE, STABLE, Found, questions, seed
from gateway.errors import GraygateError, StoreError
from gateway.state.address import open_link


async def plant(settings: Redis, urls: Mapping[str, str]) -> bool:
    """Writes what `seed` wants into the store, all in one step; True when that was anything."""
    async with await open_link(settings) as link:
        routes, versions = await link.transaction(questions(settings.prefix))
        commands = seed(_found(routes, versions), urls, settings.prefix)
        for reply in await link.transaction(commands):
            if isinstance(reply, StoreError):
                raise reply
        return bool(commands)


def _found(routes: object, versions: object) -> Found:
    for reply in (routes, versions):
        if isinstance(reply, StoreError):
            raise reply
    if isinstance(versions, list):  # RESP2 knows no maps
        versions = dict(zip(versions[::2], versions[1::2], strict=True))
    assert isinstance(versions, Mapping)
    assert isinstance(routes, Iterable)
    return Found(
        routes={_text(name) for name in routes},
        versions={_text(name): _text(entry) for name, entry in versions.items()},
    )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.plant", description=__doc__)
    parser.add_argument("urls", nargs=2, metavar="VERSION=URL", help="v1=URL and v2=URL")
    given = dict(pair.partition("=")[::2] for pair in parser.parse_args(arguments).urls)
    if given.keys() != {STABLE, CANDIDATE}:
        parser.error(f"name both versions: {STABLE}=URL {CANDIDATE}=URL")
    try:
        planted = asyncio.run(plant(load(None, os.environ, {}).settings.redis, given))
    except GraygateError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    print(f"Route {ROUTE} is there." if planted else "Nothing to do: the store is in use.")


if __name__ == "__main__":
    main()
