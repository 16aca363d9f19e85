"""The backend of the comparison, inside the test, on the loop that it is made for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from loadtests.backend import Origin


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Origin(loop, {}), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
