"""What a look around shows, and which events lie between two looks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from gateway.admin.event_log import Event
from gateway.state.snapshot import HeldRoute, Refusal

Endpoint = tuple[str, str, str]  # route, version, URL


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody should look at now; known by its name and whom it concerns."""

    name: str
    route: str = ""
    about: str = ""  # a version, a process
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything that events are about, at one moment."""

    routes: Mapping[str, HeldRoute] = field(default_factory=dict)
    refused: Set[Refusal] = frozenset()
    warnings: Set[Refusal] = frozenset()
    instances: Mapping[str, str] = field(default_factory=dict)  # id -> version of graygate
    endpoints: Mapping[Endpoint, float] = field(default_factory=dict)  # share of workers: up
    store: str = ""  # address of the store; "" = away
    store_error: str = ""
    is_leading: bool = False
    is_draining: bool = False
    alarms: Set[Alarm] = frozenset()


def events_between(before: Sight, after: Sight) -> Iterator[Event]:
    """What happened, but for changes of routes, whose authors must be looked up."""
    for kind, old, new in (
        ("refused", before.refused, after.refused),
        ("warning", before.warnings, after.warnings),
    ):
        yield from (_found(kind, one) for one in _sorted(new - old))
        yield from (_found(f"{kind}_over", one) for one in _sorted(old - new))
    yield from _instances(before.instances, after.instances)
    yield from _endpoints(before.endpoints, after.endpoints)
    yield from _gateway(before, after)
    for alarm in sorted(after.alarms - before.alarms, key=repr):
        yield _alarm("alarm", alarm)
    for alarm in sorted(before.alarms - after.alarms, key=repr):
        yield _alarm("alarm_over", alarm)


def changed_routes(before: Sight, after: Sight) -> list[str]:
    """The routes that came, went, or stand at another revision or otherwise than before."""
    return sorted(
        name
        for name in before.routes.keys() | after.routes.keys()
        if not _is_same(before.routes.get(name), after.routes.get(name))
    )


def _is_same(old: HeldRoute | None, new: HeldRoute | None) -> bool:
    if old is None or new is None:
        return old is new
    return (old.revision, old.fingerprint) == (new.revision, new.fingerprint)


def _sorted(findings: Set[Refusal]) -> list[Refusal]:
    return sorted(findings, key=lambda one: (one.route, one.key, one.text))


def _found(kind: str, finding: Refusal) -> Event:
    data = {"key": finding.key, "reason": finding.reason, "text": finding.text}
    return Event(kind, finding.route, data, is_for_all=False)


def _instances(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Event]:
    for name in sorted(new.keys() - old.keys()):
        data = {"instance": name, "version": new[name]}
        yield Event("instance_joined", data=data, is_for_all=False)
    for name in sorted(old.keys() - new.keys()):
        yield Event("instance_left", data={"instance": name}, is_for_all=False)


def _endpoints(old: Mapping[Endpoint, float], new: Mapping[Endpoint, float]) -> Iterator[Event]:
    """Down for some workers is down: they decide each for themselves."""
    for key in sorted(new):
        is_up, was_up = new[key] >= 1, old.get(key, 1.0) >= 1
        if is_up != was_up:
            route, version, url = key
            data = {"version": version, "endpoint": url, "up_for": round(new[key], 3)}
            yield Event("endpoint_up" if is_up else "endpoint_down", route, data)


def _gateway(before: Sight, after: Sight) -> Iterator[Event]:
    if after.store and after.store != before.store:
        yield Event("store_connected", data={"store": after.store})
    if before.store and not after.store:
        yield Event("store_away", data={"text": after.store_error})
    if after.is_leading != before.is_leading:
        yield Event("leading" if after.is_leading else "not_leading")
    if after.is_draining and not before.is_draining:
        yield Event("draining")


def _alarm(kind: str, alarm: Alarm) -> Event:
    data = {"alarm": alarm.name, "about": alarm.about, "text": alarm.text}
    return Event(kind, alarm.route, data)
