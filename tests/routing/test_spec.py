from __future__ import annotations

import msgspec

from gateway.routing.spec import RouteSpec
from tests.routing.requests import rule, spec


def test_candidates_are_all_versions_but_stable_in_natural_order() -> None:
    route = spec(versions=("v9", "v10", "v2", "v11"))
    assert route.candidates == ("v2", "v10", "v11")


def test_a_route_survives_the_way_to_another_process() -> None:
    route = spec(weights={"v2": 12.5}, rules=(rule({"path": "/x"}),), timeouts={"idle": 5.0})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(route), type=RouteSpec) == route
