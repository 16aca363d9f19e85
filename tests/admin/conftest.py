from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.admin.running import Running, plant, redis_settings, revision, running
from tests.servers import Server


@pytest.fixture
async def side(store: Server) -> AsyncIterator[Running]:
    """The API over a store with the route `chat` at revision 1."""
    plant(store)
    async with running(redis_settings(store)) as side:
        await revision(side)
        yield side
