"""What `/metrics` tells of releases: by the leader, as long as it is news, and no more."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway.release
from gateway.metrics.releases import DECISION_KINDS, ROLLBACK_CAUSES, Conducted, ReleaseStanding
from gateway.release.conduct.standings import (
    LOOK_SECONDS,
    LOOKS_AT_ONCE,
    MOST_FAMILIES,
    SHOWN_SECONDS,
    Standings,
    cause_of,
    standing_of,
)
from gateway.release.conduct.testimony import Testimony
from gateway.release.judge.evidence import Evidence, FamilyEvidence
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Decision, Proposal, Status, begin, encode
from gateway.release.plan.read import read_plan
from tests.release.conduct.conducting import PLAN, Leader, leader
from tests.servers import Server
from tests.state.following import ME


def told(gateway: Leader) -> ReleaseStanding:
    [standing] = gateway.controller.conducted().releases
    return standing


def counted(conducted: Conducted) -> dict[str, int]:
    """Decisions by kind, without those that there were none of."""
    return {kind: count for (_, kind), count in conducted.decisions.items() if count}


async def ticking(gateway: Leader, condition: Callable[[Conducted], object], what: str) -> None:
    """Tick after tick, at the same moment, until this is told."""
    ends = time.monotonic() + 10
    while not condition(gateway.controller.conducted()):
        assert time.monotonic() < ends, f"never happened: {what}"
        await asyncio.sleep(0.002)
        await gateway.controller.tick()


def is_quiet(conducted: Conducted) -> bool:
    return not conducted.releases and not conducted.problems


async def rolled_back(gateway: Leader) -> None:
    await gateway.start()
    await gateway.until("ramp")
    await gateway.until("rolled-back", candidate_bad=9)


# While it runs


async def test_a_running_release_is_told_with_stage_weight_and_evidence(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        begun = told(gateway)
        assert (begun.phase, begun.stage, begun.stages) == ("preparing", 0, 5)
        assert not begun.families
        await gateway.until("ramp")
        for _ in range(3):
            status = await gateway.second()
        running = told(gateway)
        assert (running.route, running.candidate, running.phase) == ("chat", "v2", "ramp")
        assert (running.stage, running.weight) == (1, 1.0)
        assert (running.entered_at, running.ticked_at) == (status.entered_at, gateway.clock.now)
        assert not (running.is_held or running.is_latched)
        assert running.waits_since is None
        errors = running.families["errors"]
        assert (errors.rollback_at, errors.hold_at) == (400.0, 80.0)
        assert 0 < errors.e < 80
        assert gateway.controller.conducted().problems == ()


async def test_a_rollback_is_told_with_its_cause_as_long_as_the_latch_holds(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        assert ("chat", "rollback") in gateway.controller.conducted().decisions  # at 0
        await gateway.until("ramp")
        await gateway.until("rolled-back", candidate_bad=9)
        ended = told(gateway)
        assert (ended.phase, ended.weight, ended.is_latched) == ("rolled-back", 0.0, True)
        assert (ended.ticked_at, ended.families) == (None, {})
        conducted = gateway.controller.conducted()
        assert counted(conducted)["rollback"] == 1
        assert {c: n for (_, c), n in conducted.rollbacks.items() if n} == {"errors": 1}
        gateway.clock.now += 10 * SHOWN_SECONDS
        assert told(gateway).is_latched
        await gateway.say("release-latch")
        assert gateway.controller.conducted().releases == ()
        assert counted(gateway.controller.conducted())["rollback"] == 1


async def test_one_that_ended_otherwise_is_told_for_an_hour_or_until_the_next(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        await gateway.say("abort")
        assert told(gateway).phase == "aborted"
        gateway.clock.now += SHOWN_SECONDS - 1
        assert told(gateway).phase == "aborted"
        gateway.clock.now += 1
        assert gateway.controller.conducted().releases == ()
        await gateway.start()
        assert told(gateway).phase == "preparing"


async def test_a_controller_that_does_not_tick_shows_by_the_time_of_its_last_tick(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        ticked = gateway.clock.now
        gateway.clock.now += 100
        assert told(gateway).ticked_at == ticked
        store.cli("HSET gray:route:chat:release status {")
        store.cli("HINCRBY gray:route:chat:release step 1")  # so that it is read again
        await ticking(gateway, lambda told: told.problems == ("chat",), "it cannot be read")
        store.cli("DEL gray:route:chat:release")
        await ticking(gateway, is_quiet, "nothing is told of a release given up")


# Who tells it


async def test_a_new_leader_tells_what_ended_before_but_counts_only_its_own(store: Server) -> None:
    async with leader(store) as gateway:
        await rolled_back(gateway)
        successor = Leader(gateway.store, gateway.clock, "gw2")
        assert successor.controller.conducted() == Conducted(gateway.clock.now)
        await successor.controller.tick()
        assert told(successor).is_latched
        assert counted(successor.controller.conducted()) == {}


async def test_who_takes_a_running_release_over_does_not_count_what_was_decided_before(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        successor = Leader(gateway.store, gateway.clock, "gw2")
        gateway.clock.now += 1
        await successor.controller.tick()
        assert told(successor).phase == "ramp"
        assert counted(successor.controller.conducted()) == {}
        await successor.say("pause")
        assert counted(successor.controller.conducted()) == {"paused": 1}


async def test_nobody_but_the_leader_tells_how_releases_stand(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        before = counted(gateway.controller.conducted())
        monkeypatch.setattr(gateway.store.leader, "term", 0)
        conducted = gateway.controller.conducted()
        assert (conducted.releases, conducted.problems) == ((), ())
        assert counted(conducted) == before
        await gateway.controller.tick()
        monkeypatch.undo()
        await ticking(gateway, lambda told: told.releases, "it leads again")
        assert told(gateway).phase == "ramp"
        assert counted(gateway.controller.conducted()) == before


# What there is no more


async def test_nothing_is_left_of_a_route_that_was_deleted(store: Server) -> None:
    async with leader(store) as gateway:
        await rolled_back(gateway)
        for _ in range(3):  # its notices are sent
            await gateway.controller.tick()
        await gateway.store.writer.delete("chat", ME)
        nothing = Conducted(gateway.clock.now)
        await ticking(gateway, lambda told: told == nothing, "route and counts are gone")


async def test_an_ended_release_that_somebody_removes_is_told_no_more(store: Server) -> None:
    async with leader(store) as gateway:
        await rolled_back(gateway)
        await gateway.controller.tick()
        assert told(gateway).is_latched
        store.cli("DEL gray:route:chat:release")
        await ticking(gateway, is_quiet, "it is told no more")


async def test_that_is_seen_without_a_push_as_well(store: Server) -> None:
    async with leader(store, tracking=False) as gateway:
        await rolled_back(gateway)
        for _ in range(3):  # its notices are sent, and it is looked up
            await gateway.controller.tick()
        store.cli("DEL gray:route:chat:release")
        gateway.clock.now += 61
        await gateway.controller.tick()
        assert gateway.controller.conducted().releases == ()


# Pure


def status_of(phase: Phase = Phase.RAMP, **fields: Any) -> Status:
    plan = read_plan(PLAN, given={"route": "chat"})
    status = begin(plan, release_id="r1", stable="v1", weight_before=0.0, by="alice", now=100.0)
    return msgspec.structs.replace(status, phase=phase, **{"entered_at": 200.0, **fields})


def test_a_release_waits_for_a_person_when_it_asks_and_when_a_quarantine_is_left_alone() -> None:
    asks = Proposal(verb="promote", about="promote:1", text="?", at=150.0)

    def waits(phase: Phase, **fields: Any) -> float | None:
        return standing_of(status_of(phase, **fields), Testimony()).waits_since

    assert waits(Phase.RAMP) is None
    assert waits(Phase.RAMP, proposal=asks) == 150.0
    assert waits(Phase.AWAITING, proposal=asks) == 150.0
    assert waits(Phase.QUARANTINE, probe="undecided") == 200.0
    assert waits(Phase.QUARANTINE, probe="resting") is None
    assert waits(Phase.PAUSED) is None
    assert waits(Phase.ROLLED_BACK, proposal=asks) is None


@pytest.mark.parametrize(
    ("stopped_by", "by", "cause"),
    [
        (("errors", "latency"), "", "errors"),
        (("all families together",), "", "together"),
        (("metric cost",), "", "metric"),
        (("tone",), "", "own"),
        ((), "alice", "person"),
        ((), "", "inconclusive"),
    ],
)
def test_a_rollback_has_one_cause(stopped_by: tuple[str, ...], by: str, cause: str) -> None:
    decision = Decision(
        at=1.0, kind="rollback", text="", phase=Phase.ROLLED_BACK, stage=0, weight=0.0, by=by
    )
    assert cause_of(status_of(stopped_by=stopped_by), decision) == cause
    assert cause in ROLLBACK_CAUSES


def test_a_family_without_a_share_has_no_place_where_it_rolls_back() -> None:
    evidence = Evidence(at=1.0, families=(_family("client-errors"), _family("latency")))
    families = standing_of(status_of(), Testimony(newest=evidence)).families
    assert families["client-errors"].rollback_at is None
    assert families["client-errors"].hold_at == 80.0


def test_however_many_families_there_are_the_number_of_series_is_bounded() -> None:
    names = [f"own{number}" for number in range(100)]
    evidence = Evidence(at=1.0, families=tuple(_family(name) for name in (*names, "errors")))
    families = standing_of(status_of(), Testimony(newest=evidence)).families
    assert len(families) == MOST_FAMILIES
    assert "errors" in families


def _family(name: str) -> FamilyEvidence:
    return FamilyEvidence(name=name, e=2.0, e_hold=3.0, hold=False, rollback=False, is_calm=True)


async def test_releases_of_drills_are_told_elsewhere(store: Server) -> None:
    async with leader(store) as gateway:
        drill = msgspec.structs.replace(status_of(Phase.ROLLED_BACK), route="chat.drill")
        standings = Standings(gateway.store.releases)
        standings.opened(drill, Testimony())
        standings.ticked(drill, Testimony())
        store.execute("HSET", "gray:route:chat.drill:release", "status", encode(drill))
        await standings.look(["chat.drill"], (), 1000.0)
        conducted = standings.conducted(1000.0, ["chat.drill"], is_leading=True)
        assert conducted == Conducted(1000.0)


async def test_a_few_ended_releases_are_looked_up_at_a_time(store: Server) -> None:
    async with leader(store) as gateway:
        ended = status_of(Phase.ROLLED_BACK, latched=True)
        routes = [f"route{number:02d}" for number in range(30)]
        for route in routes:
            text = encode(msgspec.structs.replace(ended, route=route))
            store.execute("HSET", f"gray:route:{route}:release", "status", text)
        store.execute("SET", "gray:route:route03:release", "no hash")
        standings = Standings(gateway.store.releases)
        await standings.look(routes, (), 1000.0)
        assert len(standings.conducted(1000.0, (), is_leading=True).releases) == 19
        await standings.look(routes, (), 1001.0)
        assert len(standings.conducted(1001.0, (), is_leading=True).releases) == 29


async def test_of_many_ended_releases_none_waits_for_ever_and_the_changed_come_first(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        ended = status_of(Phase.ROLLED_BACK, latched=True)
        routes = [f"route{number:02d}" for number in range(3 * LOOKS_AT_ONCE)]
        for route in routes:
            text = encode(msgspec.structs.replace(ended, route=route))
            store.execute("HSET", f"gray:route:{route}:release", "status", text)
        standings = Standings(gateway.store.releases)
        for number in range(3):  # each time the first ones are due again
            await standings.look(routes, (), 1000.0 + number * 2 * LOOK_SECONDS)
        now = 1001.0 + 4 * LOOK_SECONDS
        assert len(standings.conducted(now, (), is_leading=True).releases) == len(routes)
        store.execute("DEL", "gray:route:route59:release")
        standings.changed("route59")
        await standings.look(routes, (), now)
        shown = {one.route for one in standings.conducted(now, (), is_leading=True).releases}
        assert shown == {*routes} - {"route59"}


def test_every_kind_of_decision_that_the_code_knows_is_counted_by_its_name() -> None:
    places = {"tell": 0, "tell_once": 1, "go_on": 1}
    kinds = set()
    for folder in gateway.release.__path__:
        for file in Path(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    place = places.get(name, 99)
                    kind = node.args[place] if len(node.args) > place else None
                    if isinstance(kind, ast.Constant):
                        kinds.add(kind.value)
    assert {"alarm", "rollback", "promoted"} <= kinds
    assert kinds <= set(DECISION_KINDS)
