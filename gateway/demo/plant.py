"""The demo's route, put into a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.config.settings import Redis
from gateway.demo.seed import Found, questions, seed
from gateway.errors import StoreError
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
