"""What a drill makes: a plan that waits for its fault, and a route that nobody else reaches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.release.conduct.drill.rehearsal import CANDIDATE, drill_route, plan_of, state_of
from gateway.release.drill.report import Wanted
from gateway.release.plan.read import read_plan
from gateway.state.keys import Keys
from gateway.state.raw import RawRoute, RouteState
from gateway.state.write import Writer


@pytest.mark.parametrize("kind", ["errors", "latency", "cut", "garbled"])
def test_its_plan_is_valid_and_never_leaves_the_first_stage(kind: Any) -> None:
    plan = read_plan(plan_of(Wanted(kind=kind, weight=20)), given={"route": "chat.drill"})
    assert (plan.candidate, plan.mode, plan.unit) == (CANDIDATE, "automatic", "request")
    assert plan.stages[0].weight == 20
    assert plan.stages[0].minimum_requests == 10**9
    assert plan.guardrails.latency.enabled == (kind == "latency")
    assert plan.expires


def test_its_route_has_stable_as_it_is_and_nothing_that_touches_users() -> None:
    stable = '{"urls": ["http://10.0.0.1:1"], "rewrite_model": "m1"}'
    source = RouteState(
        route={"stable": "v1", "path": "/chat", "host": "chat.example", "timeout_total": "9",
               "mirror": "v2", "failover": "1"},
        versions={"v1": stable, "v2": "http://10.0.0.2:1"},
        weights={"v2": "10"},
        rules=('{"when": {"path": "/x"}, "version": "v2"}',),
    )  # fmt: skip
    state = state_of(source, "v1", "01ab.drill.invalid", "http+unix://%2Ftmp%2Fdrill.sock")
    assert state.versions == {"v1": stable, CANDIDATE: "http+unix://%2Ftmp%2Fdrill.sock"}
    assert (state.weights, state.rules) == ({}, ())
    assert (state.route["host"], state.route["timeout_total"]) == ("01ab.drill.invalid", "9")
    assert "mirror" not in state.route
    assert state.route["failover"] == "0"

    async def nowhere() -> Any:
        raise AssertionError

    Writer(nowhere, Keys()).judge(RawRoute(name=drill_route("chat")), state)  # it is valid
    assert msgspec.to_builtins(source)["weights"] == {"v2": "10"}
