from __future__ import annotations

from dataclasses import replace

from gateway.admin.sight import Alarm, Sight, changed_routes, events_between
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute, Refusal

SPEC = RouteSpec(name="chat", stable="v1", versions={"v1": VersionSpec(urls=("http://a",))})
HELD = HeldRoute(SPEC, RouteState(), revision=3, fingerprint="x")
REFUSAL = Refusal("chat", "gray:route:chat:weights", "bad_weight", "it is bad")


def kinds(before: Sight, after: Sight) -> list[str]:
    return [event.kind for event in events_between(before, after)]


def test_what_stays_as_it_is_makes_no_event() -> None:
    sight = Sight(routes={"chat": HELD}, refused={REFUSAL}, store="a:1", instances={"g": "1"})
    assert kinds(sight, sight) == []
    assert changed_routes(sight, sight) == []


def test_a_refusal_appears_and_goes() -> None:
    (event,) = events_between(Sight(), Sight(refused={REFUSAL}))
    assert (event.kind, event.route, event.data["text"]) == ("refused", "chat", "it is bad")
    assert kinds(Sight(refused={REFUSAL}), Sight()) == ["refused_over"]
    assert kinds(Sight(), Sight(warnings={REFUSAL})) == ["warning"]
    assert kinds(Sight(warnings={REFUSAL}), Sight()) == ["warning_over"]


def test_a_finding_that_belongs_to_no_route_is_not_for_everybody() -> None:
    stranger = replace(REFUSAL, route="")
    (event,) = events_between(Sight(), Sight(warnings={stranger}))
    assert not event.is_for_all


def test_gateways_come_and_go() -> None:
    events = list(events_between(Sight(instances={"a": "1"}), Sight(instances={"b": "2"})))
    assert [event.kind for event in events] == ["instance_joined", "instance_left"]
    assert events[0].data == {"instance": "b", "version": "2"}
    assert not events[0].is_for_all


def test_an_endpoint_that_is_down_for_one_worker_is_down() -> None:
    key = ("chat", "v2", "http://b")
    whole, half = Sight(endpoints={key: 1.0}), Sight(endpoints={key: 0.5})
    (event,) = events_between(whole, half)
    assert (event.kind, event.route) == ("endpoint_down", "chat")
    assert event.data == {"version": "v2", "endpoint": "http://b", "up_for": 0.5}
    assert kinds(half, whole) == ["endpoint_up"]
    assert kinds(half, Sight(endpoints={key: 0.0})) == []
    assert kinds(Sight(), whole) == []  # a new one that is up
    assert kinds(Sight(), half) == ["endpoint_down"]
    assert kinds(half, Sight()) == []  # taken away, not mended


def test_the_store_goes_and_comes_back_and_the_lead_changes() -> None:
    away = Sight(store_error="no answer")
    (event,) = events_between(Sight(store="a:1"), away)
    assert (event.kind, event.data) == ("store_away", {"text": "no answer"})
    assert kinds(away, Sight(store="b:1")) == ["store_connected"]
    assert kinds(Sight(store="a:1"), Sight(store="b:1")) == ["store_connected"]
    assert kinds(Sight(), Sight(is_leading=True)) == ["leading"]
    assert kinds(Sight(is_leading=True), Sight()) == ["not_leading"]
    assert kinds(Sight(), Sight(is_draining=True)) == ["draining"]
    assert kinds(Sight(is_draining=True), Sight(is_draining=True)) == []


def test_an_alarm_whose_text_changes_is_the_same_alarm() -> None:
    one = Sight(alarms={Alarm("workers_missing", text="1 of 3")})
    assert kinds(Sight(), one) == ["alarm"]
    assert kinds(one, Sight(alarms={Alarm("workers_missing", text="2 of 3")})) == []
    assert kinds(one, Sight()) == ["alarm_over"]


def test_a_route_that_comes_goes_or_changes_is_named() -> None:
    held = Sight(routes={"chat": HELD})
    assert changed_routes(Sight(), held) == ["chat"]
    assert changed_routes(held, Sight()) == ["chat"]
    assert changed_routes(held, Sight(routes={"chat": replace(HELD, revision=4)})) == ["chat"]
    assert changed_routes(held, Sight(routes={"chat": replace(HELD, fingerprint="y")})) == ["chat"]
