from __future__ import annotations

import msgspec

import gateway
from tests.admin.running import Running, revision, until
from tests.servers import Server


async def test_every_gateway_of_the_store_is_told_with_what_it_routes_by(
    side: Running, store: Server
) -> None:
    await revision(side)
    other = {"at": 0.0, "version": "9.9", "revisions": {"chat": 7}, "drills": {"d": [3, 1.5]}}
    await until(lambda: store.cli("HLEN gray:instances") > 0, "this one has told of itself")
    other["at"] = msgspec.json.decode(store.cli("HGET gray:instances gateway-1"))["at"]
    store.execute("HSET", "gray:instances", "gateway-2", msgspec.json.encode(other))
    store.execute("HSET", "gray:instances", "nonsense", "{")
    told = await side.get("/api/v1/instances")
    assert set(told) == {"gateway-1", "gateway-2"}
    assert told["gateway-1"]["version"] == gateway.__version__
    assert told["gateway-1"]["is_this_one"] is True
    assert told["gateway-2"] == {**other, "is_this_one": False}
