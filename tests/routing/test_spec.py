from __future__ import annotations

from typing import Any

import msgspec

from gateway.routing.spec import RouteSpec, VersionSpec
from tests.routing.requests import rule, spec

DIFFERENT: dict[str, Any] = {
    **{"weights": {"v2": 1.5}, "rules": (rule({}),), "hosts": ("h",), "paths": ("/a",)},
    **{"models": ("m",), "methods": ("GET",), "unit": ("ip",), "salt": "s", "jwt": "trusted"},
    **{"paused": True, "dialect": "openai", "failover": False, "spill_cap": 2.5},
    **{"timeouts": {"queue": 0.5}, "balance": "rendezvous", "retries": 0, "max_requests": 2},
    **{"max_pending": 0, "max_connections": 3, "health_path": "/ok", "health_interval": 0.5},
    "retired": {"v0": VersionSpec(urls=("http://a",), is_retired=True)},
    **{"body_limit": 2**40, "mirror": "v2", "mirror_percent": 0.5, "mirror_credentials": True},
    **{"mirror_self": 5.0, "compare": "{}", "feedback": 0.5},
}


def test_candidates_are_all_versions_but_stable_in_natural_order() -> None:
    route = spec(versions=("v9", "v10", "v2", "v11"))
    assert route.candidates == ("v2", "v10", "v11")


def test_a_route_survives_the_way_to_another_process() -> None:
    route = spec(weights={"v2": 12.5}, rules=(rule({"path": "/x"}),), timeouts={"idle": 5.0})
    assert there_and_back(route) == route
    versions = {"v1": VersionSpec(urls=("http+unix://%2Fx",), rewrite_model="m", meta={"a": [1]})}
    full = RouteSpec(name="chat", stable="v1", versions=versions, **DIFFERENT)
    assert there_and_back(full) == full


def test_every_option_is_tried_with_another_value_than_its_default() -> None:
    plain = RouteSpec(name="chat", stable="v1", versions={})
    options = set(RouteSpec.__struct_fields__) - {"name", "stable", "versions"}
    assert set(DIFFERENT) == options
    assert all(getattr(plain, name) != value for name, value in DIFFERENT.items())


def there_and_back(route: RouteSpec) -> RouteSpec:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(route), type=RouteSpec)
