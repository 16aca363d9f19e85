"""A plane between a raw client and a recording model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.config.secret import Secret
from gateway.config.settings import Routing
from tests.proxy.raw import KEY, Model, Side


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model()
    await model.start()
    yield model
    await model.close()


@pytest.fixture
def routing() -> Routing:
    return Routing(override_key=Secret(KEY.decode()))


@pytest.fixture
async def side(model: Model, routing: Routing) -> AsyncIterator[Side]:
    side = Side(model, routing)
    await side.start()
    yield side
    await side.plane.drain(0)
