"""A plane between raw clients and a recording model, on the loop that serves in production."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
import uvloop

from tests.proxy.model import Model
from tests.proxy.side import Feed, Side, bytewise, whole

Start = Callable[..., Awaitable[Side]]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model()
    await model.start()
    yield model
    await model.close()


@pytest.fixture
async def other() -> AsyncIterator[Model]:
    """A second model, for a second version or endpoint."""
    model = Model()
    await model.start()
    yield model
    await model.close()


@pytest.fixture
async def start(model: Model) -> AsyncIterator[Start]:
    """Starts a plane with settings of the test's own: `await start(limits={"line_bytes": 100})`."""
    sides: list[Side] = []

    async def started(
        host: str = "127.0.0.1", *, has_table: bool = True, **sections: Mapping[str, object]
    ) -> Side:
        side = Side(model, sections)
        await side.start(host)
        if has_table:
            side.use(side.spec())
        sides.append(side)
        return side

    yield started
    for side in sides:
        await side.stop()


@pytest.fixture
async def side(start: Start) -> Side:
    return await start()


@pytest.fixture(params=[whole, bytewise], ids=["whole", "bytewise"])
def feed(request: pytest.FixtureRequest) -> Feed:
    """How the client sends its bytes."""
    feed: Feed = request.param
    return feed
