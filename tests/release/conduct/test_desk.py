"""What people ask of a release, and what they are told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from gateway.errors import ConflictError, NotFoundError, PlanError, RefusedError
from gateway.state.history import read_newest_entries
from tests.release.conduct.conducting import PLAN, leader
from tests.servers import Server
from tests.state.following import ME, eventually, following, loaded, seed, spec, weighs


async def test_a_start_is_in_the_store_and_in_the_history(store: Server) -> None:
    async with leader(store) as gateway:
        view = await gateway.desk.start("chat", {**PLAN, "goal": "faster"}, ME)
        assert view.told()["running"]
        assert view.told()["status"]["phase"] == "preparing"
        assert store.cli("SMEMBERS gray:releases") == {"chat"}
        link = await gateway.store.link()
        (newest,) = await read_newest_entries(link, gateway.store.keys, "chat", 1)
        assert newest.why == f"release {view.record.release} to v2 begins: a test"
        assert (newest.by, newest.via) == ("tester", "api")


@pytest.mark.parametrize(
    ("lines", "plan", "said"),
    [
        ([], {"candidate": "v9"}, "v9 is no version of chat; there are: v1, v2"),
        ([], {"candidate": "v1"}, "v1 is the stable version of chat already"),
        (
            ["HSET gray:route:chat:versions v3 http://127.0.0.1:3",
             "HSET gray:route:chat:weights v3 5"],
            {}, "Other candidates of chat have traffic (v3 5 %)",
        ),
        (["HSET gray:route:chat:weights v2 30"], {}, "v2 has 30 % already, more than the first"),
        ([], {"notifications": [{"channel": "nobody"}]}, "no such channel; there are: team"),
    ],
)  # fmt: skip
async def test_a_start_that_makes_no_sense_is_refused(
    store: Server, lines: list[str], plan: dict[str, Any], said: str
) -> None:
    seed(store, "HSET gray:route:chat:weights v2 0", *lines)
    async with following(store) as gateway:
        await loaded(gateway)
    percent = store.cli("HGET gray:route:chat:weights v2")
    async with leader(store, weight=percent) as one:
        await eventually(lambda: len(spec(one.store).versions) == 2 + bool(lines[1:]), "all read")
        with pytest.raises(RefusedError) as refused:
            await one.desk.start("chat", {**PLAN, **plan}, ME)
        assert said in str(refused.value)
        assert not store.cli("EXISTS gray:route:chat:release")


async def test_everything_that_is_wrong_with_a_plan_is_told(store: Server) -> None:
    async with leader(store) as gateway:
        with pytest.raises(PlanError) as refused:
            await gateway.desk.start("chat", {**PLAN, "mode": "wild", "gaol": "x"}, ME)
        assert len(refused.value.problems) == 2
        with pytest.raises(NotFoundError):
            await gateway.desk.start("ghost", PLAN, ME)


async def test_one_release_runs_on_a_route_at_a_time(store: Server) -> None:
    async with leader(store) as gateway:
        outcomes = await asyncio.gather(
            *(gateway.desk.start("chat", PLAN, ME) for _ in range(5)), return_exceptions=True
        )
        errors = [one for one in outcomes if isinstance(one, BaseException)]
        assert len(errors) == 4
        assert all(isinstance(one, ConflictError | RefusedError) for one in errors)
        with pytest.raises(RefusedError, match="graygate release abort chat"):
            await gateway.desk.start("chat", PLAN, ME)


async def test_a_start_on_another_revision_is_a_conflict(store: Server) -> None:
    async with leader(store) as gateway:
        with pytest.raises(ConflictError):
            await gateway.desk.start("chat", PLAN, ME, 99)


async def test_a_release_that_starts_from_nothing_gets_a_salt_of_its_own(store: Server) -> None:
    async with leader(store) as gateway:
        first = await gateway.start()
        await eventually(
            lambda: spec(gateway.store).salt == f"chat:{first.record.release}", "the salt"
        )
        await gateway.until("promoted")
        # All are on v2 by stable now, whatever the salt: it stays until there is another release.
        assert spec(gateway.store).salt == f"chat:{first.record.release}"
        store.cli("HSET gray:route:chat stable v1")
        await eventually(lambda: spec(gateway.store).stable == "v1", "v1 is stable")
        second = await gateway.start()
        await eventually(
            lambda: spec(gateway.store).salt == f"chat:{second.record.release}", "the next salt"
        )


async def test_nobody_who_is_on_the_candidate_already_is_dealt_anew(store: Server) -> None:
    async with leader(store, weight="1") as gateway:
        await weighs(gateway.store, 1)
        view = await gateway.start()
        assert spec(gateway.store).salt == "chat"
        await gateway.until("promoted")
        assert spec(gateway.store).salt == "chat"
        assert view.record.id == ""


async def test_a_command_is_heard_and_what_is_refused_is_told_why(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        conducting = asyncio.create_task(gateway.controller.run())
        try:
            view, is_taken = await gateway.desk.say("chat", "pause", "", ME)
            assert (is_taken, view.status.phase) == (True, "paused")
            with pytest.raises(RefusedError, match="pause is refused: the release is paused"):
                await gateway.desk.say("chat", "pause", "", ME)
            with pytest.raises(RefusedError, match="approve is refused: nothing is proposed"):
                await gateway.desk.say("chat", "approve", "", ME)
        finally:
            conducting.cancel()
            await asyncio.wait([conducting])


async def test_a_command_that_nobody_takes_waits_and_that_is_told(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        gateway.desk._heard_seconds = 0.05
        view, is_taken = await gateway.desk.say("chat", "pause", "", ME)
        assert (is_taken, view.status.phase) == (False, "preparing")
        assert store.cli("LLEN gray:route:chat:commands") == 1


async def test_what_another_stable_forbids_is_refused_before_a_leader_hears_it(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli("HSET gray:route:chat:versions v3 http://127.0.0.1:3")
        store.cli("HSET gray:route:chat stable v3")
        await gateway.until("paused")
        gateway.desk._heard_seconds = 0.0  # nobody ticks: whoever refuses must be the desk
        with pytest.raises(RefusedError, match="resume is refused: v3 is stable now, not v1"):
            await gateway.desk.say("chat", "resume", "", ME)
        assert store.cli("LLEN gray:route:chat:commands") == 0


async def test_a_proposal_is_approved_by_its_name_only(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start(mode="manual")
        await gateway.until("awaiting-approval")
        proposal = (await gateway.look()).proposal
        assert proposal is not None
        with pytest.raises(RefusedError, match="no longer proposed"):
            await gateway.desk.say("chat", "approve", "promote:7", ME)
        gateway.desk._heard_seconds = 0.0
        await gateway.desk.say("chat", "approve", proposal.about, ME)
        await gateway.second()
        assert (await gateway.look()).weight_wanted == 1


async def test_who_waits_is_told_when_something_was_written(store: Server) -> None:
    async with leader(store) as gateway:
        view = await gateway.start()
        step = (await gateway.desk.look("chat")).record.step
        waiting = asyncio.create_task(gateway.desk.wait("chat", step, 20.0))
        await gateway.say("pause")
        assert (await waiting).status.phase == "paused"
        same = await gateway.desk.wait("chat", 10**6, 0.01)
        assert same.record.release == view.record.release


async def test_what_is_not_there_is_not_found(store: Server) -> None:
    async with leader(store) as gateway:
        assert await gateway.desk.find("chat") is None
        for call in (
            gateway.desk.look("chat"),
            gateway.desk.say("chat", "pause", "", ME),
            gateway.desk.report("chat", "", "json"),
        ):
            with pytest.raises(NotFoundError, match="never was a release"):
                await call
        await gateway.start()
        with pytest.raises(NotFoundError, match="has no release 'r9'"):
            await gateway.desk.report("chat", "r9", "json")


async def test_a_hash_that_cannot_be_read_is_told_with_the_way_out(store: Server) -> None:
    async with leader(store) as gateway:
        store.cli("HSET gray:route:chat:release status nonsense release r1")
        with pytest.raises(RefusedError, match="write: DEL gray:route:chat:release"):
            await gateway.desk.look("chat")
        store.cli("DEL gray:route:chat:release")
        assert (await gateway.start()).told()["running"]


async def test_a_plan_is_told_in_words_at_the_traffic_of_now(store: Server) -> None:
    async with leader(store) as gateway:
        for _ in range(30):
            await gateway.send(stable_bad=2)
            gateway.clock.now += 1
        told = await gateway.desk.forecast("chat", PLAN)
        assert told["forecast"]["traffic"]["requests_per_second"] == 200
        assert "At 200 requests/s, 1 % of which fail on stable" in told["words"]
        assert told["plan"]["route"] == "chat"
        assert not store.cli("EXISTS gray:route:chat:release")


async def test_the_reports_of_a_release_tell_its_stages(store: Server) -> None:
    async with leader(store) as gateway:
        view = await gateway.start()
        await gateway.until("promoted")
        report = json.loads(await gateway.desk.report("chat", "", "json"))
        assert [stage["verdict"] for stage in report["stages"]] == ["pass"] * 5
        assert report["outcome"] == "v2 became the stable version."
        weights = [change["weight"] for change in report["changes"] if change["weight"]]
        assert weights == [1, 5, 25, 50, 95]
        assert view.record.release in await gateway.desk.report("chat", "", "markdown")
        assert "<svg" in await gateway.desk.report("chat", "", "html")
        store.cli("HSET gray:route:chat stable v1")
        await gateway.start()
        earlier = json.loads(await gateway.desk.report("chat", view.record.release, "json"))
        assert earlier["stages"] == report["stages"]
        store.cli("RPUSH gray:route:chat:finished nonsense")
        (kept,) = await gateway.desk.finished("chat")
        assert kept["status"]["phase"] == "promoted"
        assert msgspec.json.encode(kept)
