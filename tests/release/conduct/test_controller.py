"""The controller moves weights by evidence, and goes on whatever happens to it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from gateway.errors import ConflictError, RefusedError, StoreUnavailable
from gateway.release.machine.status import Status
from gateway.state.history import Entry, read_newest_entries
from tests.release.conduct.conducting import PLAN, Leader, leader
from tests.servers import Server
from tests.state.following import ME, eventually, following, leading, loaded, weighs, weight


async def history(gateway: Leader) -> list[Entry]:
    """Oldest first."""
    link = await gateway.store.link()
    return (await read_newest_entries(link, gateway.store.keys, "chat", 100))[::-1]


def texts(status: Status) -> str:
    return "\n".join(decision.text for decision in status.decisions)


# Good and bad candidates


async def test_a_good_candidate_goes_up_by_the_stages_and_becomes_stable(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        status = await gateway.until("promoted")
        assert store.cli("HGET gray:route:chat stable") == "v2"
        assert store.cli("HGETALL gray:route:chat:weights") == {}
        percents = [entry.state.weights.get("v2") for entry in await history(gateway)]
        assert percents == ["0", "0", "1", "5", "25", "50", "95", None]
        assert [entry.via for entry in await history(gateway)][2:] == ["controller"] * 6
        assert gateway.heard.events == ["started", "stage", "stage", "stage", "stage", "promoted"]
        assert status.is_over
        for _ in range(3):  # the notices are sent, that is noted, nothing is left to do
            await gateway.controller.tick()
        assert not await gateway.store.releases.attended()


async def test_a_failing_candidate_is_at_zero_within_seconds_and_then_rolled_back(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        status = await gateway.until("quarantine", seconds=5, candidate_bad=9)
        assert store.cli("HGET gray:route:chat:weights v2") == "0"
        assert status.stopped_by == ("errors",)
        status = await gateway.until("rolled-back", candidate_bad=9)
        assert status.latched
        assert "errors" in status.decisions[-1].text
        assert gateway.heard.events[-1] == "rollback"
        assert [entry.state.weights["v2"] for entry in await history(gateway)][-1] == "0"
        with pytest.raises(RefusedError, match="release-latch"):
            await gateway.desk.start("chat", PLAN, ME)
        await gateway.say("release-latch")
        assert (await gateway.start()).record.release != status.release_id


async def test_errors_that_begin_in_the_bake_are_rolled_back_and_told_as_such(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start(bake={"duration": 600, "holdback": 5})
        await gateway.until("baking")
        for _ in range(20):
            await gateway.second(stable_bad=1)
        # A rise of few seconds is probed first; what raised it begins anew with the probe.
        status = await gateway.until("rolled-back", candidate_bad=40, stable_bad=1)
        assert "errors rose after the promotion: " in str(status.decisions)
        assert status.stopped_by == ("errors",)


async def test_a_candidate_that_is_not_ready_waits_and_one_that_failed_is_probed_all_the_same(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        why = "no endpoint of v2 is up"
        gateway.controller._why_not_ready = lambda _: why
        await gateway.start()
        for _ in range(20):
            status = await gateway.second()
        assert status.phase == "preparing"
        assert why in str(status.waiting_for)
        why = ""
        await gateway.until("ramp")
        why = "no endpoint of v2 is up"  # they were set aside, for they fail
        assert (await gateway.until("rolled-back", candidate_bad=9)).stopped_by == ("errors",)


async def test_a_slow_candidate_is_rolled_back_for_its_latency(store: Server) -> None:
    guardrails = {"latency": {"enabled": True}}
    stages = [{"weight": 20, "hold": 30}, {"weight": 100}]
    async with leader(store) as gateway:
        for _ in range(30):  # what stable is like: the baseline
            await gateway.send()
            gateway.clock.now += 1
        await gateway.start(stages=stages, guardrails=guardrails)
        status = await gateway.until("rolled-back", slow=2.0)
        assert status.stopped_by == ("latency",)


async def test_without_traffic_nothing_moves(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        for _ in range(60):
            status = await gateway.second(rate=0)
        assert (status.phase, status.stage) == ("ramp", 0)
        assert store.cli("HGET gray:route:chat:weights v2") == "1"


# People


async def test_a_weight_changed_by_hand_pauses_the_release_and_is_told(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli("HSET gray:route:chat:weights v2 33")
        status = await gateway.second()
        assert status.phase == "paused"
        assert "changed by hand from 1 to 33 %" in texts(status)
        assert gateway.heard.events[-1] == "paused"
        for _ in range(40):
            await gateway.second()
        assert store.cli("HGET gray:route:chat:weights v2") == "33"
        await gateway.say("resume")
        assert store.cli("HGET gray:route:chat:weights v2") == "1"


@pytest.mark.parametrize("odd", ["inf", "nan", "-inf", "1e999", "-5", "150", "five"])
async def test_a_weight_typed_by_hand_that_is_no_percent_keeps_nobody_from_a_rollback(
    store: Server, odd: str
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli(f"HSET gray:route:chat:weights v2 {odd}")
        gateway.clock.now += 1
        await gateway.controller.tick()
        assert (await gateway.look()).phase == "ramp"  # not in force, so it is nobody's wish
        await gateway.say("rollback")
        assert (await gateway.look()).phase == "rolled-back"
        assert store.cli("HGET gray:route:chat:weights v2") == "0"


async def test_a_third_version_that_gets_traffic_by_hand_changes_whom_the_two_are_compared_by(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start(stages=[{"weight": 10, "hold": 120}, {"weight": 100}])
        await gateway.until("ramp")
        store.cli("HSET gray:route:chat:versions v3 http://127.0.0.1:9003")
        store.cli("HSET gray:route:chat:weights v3 80")
        await eventually(lambda: weight(gateway.store, "v3") == 80, "80 % is in force")
        for _ in range(60):
            await gateway.second()
        newest = (await gateway.desk.look("chat")).testimony.newest
        assert newest is not None
        assert not newest.srm_alarm  # half of those who are on one of the two are the candidate's
        assert gateway.status.phase == "ramp"


async def test_a_stable_changed_by_hand_pauses_the_release(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli("HSET gray:route:chat stable v2")
        assert (await gateway.second()).phase == "paused"


async def test_a_change_by_hand_in_the_moment_of_writing_wins(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        look = gateway.store.releases.look

        async def looked_too_early(*words: Any) -> Any:
            seen = await look(*words)
            if seen.percent == "1":
                store.cli("HSET gray:route:chat:weights v2 7")
            return seen

        gateway.store.releases.look = looked_too_early  # type: ignore[assignment, method-assign]  # between two awaits
        await gateway.store.releases.command("chat", b"promote")
        await gateway.controller.tick()
        assert store.cli("HGET gray:route:chat:weights v2") == "7"
        await gateway.controller.tick()
        status = await gateway.look()
        # The command was not lost: a person wanted to go on, and so it goes, past the pause.
        assert "changed by hand from 1 to 7 %" in texts(status)
        assert status.commands_done


async def test_words_typed_in_redis_cli_are_commands(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli("RPUSH gray:route:chat:commands pasue pause")
        status = await gateway.second()
        assert status.phase == "paused"
        assert "by redis" in texts(status)
        assert store.cli("LLEN gray:route:chat:commands") == 0
        await gateway.say("resume")
        assert (await gateway.look()).phase == "ramp"


async def test_an_abort_brings_the_weight_of_before_back(store: Server) -> None:
    async with leader(store, weight="1") as gateway:
        await gateway.start(stages=[{"weight": 5, "hold": 10}, {"weight": 100}])
        await gateway.until("ramp")
        assert store.cli("HGET gray:route:chat:weights v2") == "5"
        await gateway.say("abort")
        assert (await gateway.look()).phase == "aborted"
        assert store.cli("HGET gray:route:chat:weights v2") == "1"


async def test_a_promoted_version_can_still_be_rolled_back(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("promoted")
        await gateway.controller.tick()
        await gateway.say("rollback")
        assert store.cli("HGET gray:route:chat stable") == "v1"
        assert (await gateway.look()).phase == "rolled-back"
        assert [one["status"]["phase"] for one in await gateway.desk.finished("chat")] == [
            "rolled-back"
        ]


async def test_what_is_typed_to_a_release_that_is_over_is_heard_at_once(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("promoted")
        for _ in range(3):
            await gateway.controller.tick()
        assert not await gateway.store.releases.attended()
        for word, phase, latched in (
            ("rollback", "rolled-back", True),
            ("release-latch", "rolled-back", False),
        ):
            store.cli(f"RPUSH gray:route:chat:commands {word}")
            gateway.clock.now += 1
            await gateway.controller.tick()
            status = await gateway.look()
            assert (status.phase, status.latched) == (phase, latched)
            for _ in range(3):
                gateway.clock.now += 1
                await gateway.controller.tick()
            assert not await gateway.store.releases.attended()
        assert store.cli("HGET gray:route:chat stable") == "v1"
        assert gateway.heard.events[-1] == "rollback"


async def test_what_cannot_be_written_is_refused_once_and_holds_up_nothing(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start(stages=[{"weight": 1, "hold": 60}, {"weight": 100}])
        await gateway.until("ramp")
        store.cli("HDEL gray:route:chat:versions v2")  # so that no raise can be written
        gateway.clock.now += 1
        command = '{"verb":"promote","by":"ann","at":1,"id":"x"}'
        store.execute("RPUSH", "gray:route:chat:commands", command)
        await gateway.controller.tick()
        status = await gateway.look()
        assert status.stage == 0
        assert status.decisions[-1].kind == "refused"
        assert status.decisions[-1].text.startswith("promote by ann is refused: ")
        assert "v2" in status.decisions[-1].text
        assert store.cli("EXISTS gray:route:chat:commands") == 0
        gateway.clock.now += 1
        assert (await gateway.say("pause")).phase == "paused"
        assert not gateway.controller.problems
        store.cli("HSET gray:route:chat:versions v2 http://127.0.0.1:9002")
        await gateway.second()
        assert store.cli("HGET gray:route:chat:weights v2") == "1"  # nobody thinks of it any more


async def test_too_much_that_is_pushed_by_hand_is_neither_kept_nor_obeyed(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        gateway.clock.now += 1
        huge = '{"verb":"pause","by":"%s","at":1,"id":"%d"}'
        pushed = [huge % ("x" * 200_000, number) for number in range(10)]
        long = [huge % ("y" * 3000, number) for number in range(10)]
        store.execute("RPUSH", "gray:route:chat:commands", *pushed, *["pasue"] * 9, *long)
        for _ in range(2):
            await gateway.controller.tick()
        assert (await gateway.look()).phase == "paused"
        assert len((await gateway.store.releases.read("chat")).status) < 50_000
        assert store.cli("EXISTS gray:route:chat:commands") == 0
        [line] = [one for one in caplog.messages if "is no command" in one]
        assert "8 more" in line
        assert "200" in line
        store.execute("RPUSH", "gray:route:chat:commands", *["resume"] * 1000, "rollback")
        gateway.clock.now += 1
        await gateway.controller.tick()
        assert (await gateway.look()).phase == "rolled-back"
        assert store.cli("EXISTS gray:route:chat:commands") == 0


async def test_what_is_typed_where_no_release_is_gets_dropped(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with leader(store) as gateway:
        store.cli("RPUSH gray:route:chat:commands rollback")
        for _ in range(3):
            await gateway.controller.tick()
        assert store.cli("EXISTS gray:route:chat:commands") == 0
        assert caplog.text.count("chat has no release: there was none") == 1
        assert (await gateway.start()).status.phase == "preparing"


async def test_how_long_the_old_version_must_stay_up_is_told_long_after_the_end(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start(bake={"duration": 10, "holdback": 5, "keep_warm": 60})
        await gateway.until("promoted")
        for _ in range(50):
            await gateway.second()
        assert gateway.heard.events[-1] == "promoted"
        assert await gateway.store.releases.attended()
        for _ in range(20):
            await gateway.second()
        assert "v1 may be switched off now" in texts(await gateway.look())
        assert gateway.heard.events[-1] == "ended"
        assert not await gateway.store.releases.attended()


async def test_an_invalid_edit_by_hand_cannot_keep_a_failing_candidate_alive(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli("HSET gray:route:chat:weights v9 140")  # refused: the last good form stays
        await eventually(lambda: gateway.store.snapshot.refused, "the edit is refused")
        await gateway.until("quarantine", seconds=5, candidate_bad=9)
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "0"}
        await weighs(gateway.store, 0)


@pytest.mark.parametrize("how", ["SET {} x", "XADD {} 99-1 hello world"])
async def test_a_broken_history_cannot_keep_a_failing_candidate_alive(
    store: Server, how: str
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        store.cli("DEL gray:route:chat:history")
        store.cli(how.format("gray:route:chat:history"))
        await gateway.until("quarantine", seconds=5, candidate_bad=9)
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "0"}
        await weighs(gateway.store, 0)


async def test_segments_of_a_stage_are_a_rule_that_goes_with_it(store: Server) -> None:
    stages = [
        {"segments": ["testers"], "weight": 0, "hold": 5, "approval": True, "minimum_requests": 0},
        {"weight": 100},
    ]
    rule = '{"when": {"header": {"x": "y"}}, "version": "v2"}'
    async with leader(store) as gateway:
        store.execute("RPUSH", "gray:route:chat:rules", rule)
        store.cli("SADD gray:segment:testers alice")
        await eventually(lambda: gateway.store.snapshot.routes["chat"].spec.rules, "the rule")
        await gateway.start(stages=stages, mode="semi-automatic")
        await gateway.until("awaiting-approval", seconds=40)
        own, other = store.cli("LRANGE gray:route:chat:rules 0 -1")
        assert '"testers"' in own
        assert other == rule
        await gateway.say("rollback")
        assert store.cli("LRANGE gray:route:chat:rules 0 -1") == [rule]


# One leader, many gateways


async def test_who_does_not_lead_does_nothing(store: Server) -> None:
    async with leader(store) as gateway, following(store, own_id="gw2") as other:
        await loaded(other)
        second = Leader(other, gateway.clock, "gw2")
        await gateway.start()
        before = (await gateway.store.releases.read("chat")).step
        for _ in range(20):
            gateway.clock.now += 1
            await second.controller.tick()
        assert (await gateway.store.releases.read("chat")).step == before
        assert repr(second.controller) == "<Controller, term 0, 0 releases>"


async def test_a_leader_whose_term_is_over_writes_nothing_any_more(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        term = gateway.store.leader.term
        before = await gateway.store.releases.read("chat")
        store.cli(f"SET gray:leader {term + 1}:other:99999999999999")
        assert gateway.store.leader.term == term  # it has not heard of it yet
        for _ in range(20):
            await gateway.second(candidate_bad=9)
        assert await gateway.store.releases.read("chat") == before
        assert store.cli("HGET gray:route:chat:weights v2") == "1"


async def test_two_who_both_believe_to_lead_do_not_act_twice(store: Server) -> None:
    async with leader(store) as gateway:
        twin = Leader(gateway.store, gateway.clock, "twin")
        await gateway.start()
        for _ in range(120):
            await gateway.send()
            gateway.clock.now += 1
            await asyncio.gather(gateway.controller.tick(), twin.controller.tick())
        status = await gateway.look()
        percents = [entry.state.weights.get("v2") for entry in await history(gateway)][1:]
        assert percents == ["0", "1", "5", "25", "50", "95", None][: len(percents)]
        assert len(percents) > 4
        kinds = [decision.kind for decision in status.decisions]
        assert kinds.count("started") == 1


async def test_the_next_leader_goes_on_where_the_last_one_was(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        for _ in range(25):
            await gateway.second()
        before = await gateway.desk.look("chat")
        async with following(store, own_id="gw2") as other:
            await loaded(other)
            await gateway.store.leader.resign()
            await other.leader.try_once()
            await leading(other)
            successor = Leader(other, gateway.clock, "gw2")
            await successor.controller.tick()
            status = await successor.until("promoted")
            assert status.release_id == before.status.release_id
            assert status.decisions[: len(before.status.decisions)] == before.status.decisions


# Trouble


async def test_a_store_that_went_away_and_came_back_finds_the_release_as_it_was(
    fresh_valkey: Server,
) -> None:
    async with leader(fresh_valkey) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        status = await gateway.second()
        fresh_valkey.kill()
        for _ in range(5):
            gateway.clock.now += 1
            await gateway.controller.tick()
        assert weight(gateway.store) == 1  # what is in force stays in force
        fresh_valkey.start()
        await _answers(gateway)
        await eventually(lambda: gateway.store.leader.term, "it leads again")
        assert (await gateway.look()).release_id == status.release_id
        await gateway.controller.tick()
        await gateway.until("promoted")


async def _answers(gateway: Leader) -> None:
    """Returns when the store can be asked again."""
    for _ in range(200):
        with contextlib.suppress(StoreUnavailable):
            await gateway.store.link()
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the store never came back")


async def test_a_clock_that_jumps_moves_nothing(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        await gateway.second()
        for jump in (3600.0, -7200.0):
            gateway.clock.now += jump
            await gateway.controller.tick()
            assert gateway.status.stage == 0
        assert "does not count" in texts(gateway.status)
        gateway.clock.now += 3600.0
        await gateway.until("promoted")


async def test_releases_run_side_by_side_and_one_in_trouble_holds_up_no_other(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for line in (
        "HSET gray:route:rank stable v1 path /rank",
        "HSET gray:route:rank:versions v1 http://127.0.0.1:1 v2 http://127.0.0.1:2",
        "SADD gray:routes rank",
    ):
        store.cli(line)
    async with leader(store) as gateway:
        await loaded(gateway.store, "chat", "rank")
        await gateway.start()
        await gateway.desk.start("rank", PLAN, ME)
        await gateway.until("ramp")
        assert store.cli("HGET gray:route:rank:weights v2") == "1"
        store.cli("HSET gray:route:rank:release status nonsense step 99")
        await gateway.until("promoted")
        assert "The release of rank cannot go on" in caplog.text
        assert caplog.text.count("The release of rank") == 1
        assert store.cli("HGET gray:route:rank:weights v2") == "1"


async def test_a_mistake_of_ours_ends_neither_the_controller_nor_other_releases(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        session = gateway.controller._sessions["chat"]
        session._judging = None  # type: ignore[assignment]  # a mistake
        await gateway.second()
        assert "holds still: the controller failed" in caplog.text
        assert gateway.controller.problems
        await gateway.second()  # from the store, all is well again
        assert not gateway.controller.problems


@pytest.mark.parametrize(
    "error", [ConflictError("not the leader"), RefusedError("of another type"), KeyError("ours")]
)
async def test_what_goes_wrong_with_a_lost_release_does_not_end_the_controller(
    store: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        lost = store.cli("HGET gray:route:chat:release id")
        store.execute("DEL", "gray:releases", "gray:route:chat:release")
        store.cli(f"HSET gray:route:chat:release id {lost}")

        async def fails(*_: Any, **__: Any) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(gateway.store.releases, "save", fails)
            await gateway.controller.tick()
            assert bool(gateway.controller.problems) is not isinstance(error, ConflictError)
        await gateway.controller.tick()
        assert not gateway.controller.problems
        await gateway.until("promoted")


async def test_routes_without_a_release_cost_one_question(store: Server) -> None:
    async with leader(store) as gateway:
        await gateway.controller.tick()  # the first one looks for a release that ended
        link = await gateway.store.link()
        asked: list[tuple[Any, ...]] = []
        pipeline = link.pipeline

        async def counted(commands: Any, **options: Any) -> list[object]:
            asked.append(tuple(commands))
            return await pipeline(commands, **options)

        link.pipeline = counted  # type: ignore[method-assign]  # counts
        await gateway.controller.tick()
        assert [words for words in asked if words[0][0] != "EVALSHA"] == [
            (("SMEMBERS", "gray:releases"), ("LLEN", "gray:route:chat:commands"))
        ]


async def test_numbers_and_commands_wake_it_at_once(store: Server) -> None:
    async with leader(store) as gateway:
        gateway.controller._clock = gateway.clock
        running = asyncio.create_task(gateway.controller.run())
        try:
            await gateway.desk.start("chat", PLAN, ME)
            await eventually(lambda: gateway.controller._sessions, "it is conducted")
            view, is_taken = await gateway.desk.say("chat", "pause", "", ME)
            assert is_taken
            assert view.status.phase == "paused"
            assert "by tester (a test)" in texts(view.status)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def test_a_release_that_the_store_lost_goes_on_when_the_routes_are_put_back(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        for _ in range(20):
            await gateway.second()
        before = gateway.status
        store.cli("FLUSHALL")
        for _ in range(3):
            gateway.clock.now += 1
            await gateway.store.leader.try_once()
            await gateway.controller.tick()
        assert "graygate repopulate" in gateway.controller.problems["chat"]
        await eventually(lambda: gateway.store.snapshot.refused, "the loss is seen")
        salt = gateway.store.snapshot.routes["chat"].spec.salt
        with pytest.raises(RefusedError, match=f"The store lost release {before.release_id} of"):
            await gateway.desk.find("chat")
        await gateway.store.repopulate(ME)
        await gateway.until("promoted")
        status = await gateway.look()
        assert status.release_id == before.release_id
        assert status.decisions[: len(before.decisions)] == before.decisions
        assert (
            gateway.store.snapshot.routes["chat"].spec.salt == salt == f"chat:{before.release_id}"
        )


async def test_what_a_store_lost_after_another_leader_is_not_put_back_as_it_was_before_that(
    store: Server,
) -> None:
    async with leader(store) as gateway:
        await gateway.start()
        await gateway.until("ramp")
        await gateway.second()
        lease = gateway.store.leader
        ends = int(store.execute("TIME")[0]) * 1000 + 30_000
        store.cli(f"SET gray:leader {lease.term + 1}:other:{ends}")
        await lease.try_once()
        await gateway.controller.tick()
        assert not lease.term
        store.cli("FLUSHALL")
        store.cli("SET gray:leader 0::1")  # the other one did not come back
        await lease.try_once()
        await gateway.controller.tick()
        await eventually(lambda: gateway.store.snapshot.refused, "the loss is seen")
        await gateway.store.repopulate(ME)
        for _ in range(3):
            await gateway.second()
        assert not await gateway.store.releases.attended()
        assert store.cli("HGET gray:route:chat:weights v2") == "1"
        assert await gateway.desk.find("chat") is None


async def test_a_release_whose_route_was_deleted_ends_by_itself(store: Server) -> None:
    for line in (
        "HSET gray:route:rank stable v1 path /rank",
        "HSET gray:route:rank:versions v1 http://127.0.0.1:1 v2 http://127.0.0.1:2",
        "SADD gray:routes rank",
    ):
        store.cli(line)
    async with leader(store, weight="1") as gateway:
        await loaded(gateway.store, "chat", "rank")
        await gateway.start()
        await gateway.until("ramp")
        await gateway.second()
        names = ("", ":versions", ":weights")
        store.cli("SREM gray:routes chat")
        store.execute("DEL", *(f"gray:route:chat{name}" for name in names))
        await eventually(lambda: "chat" not in gateway.store.snapshot.routes, "it is deleted")
        for seconds, phase in ((0, "paused"), (5, "paused"), (6, "aborted")):
            gateway.clock.now += seconds + 0.1
            await gateway.controller.tick()
            assert (await gateway.look()).phase == phase
        assert "route chat was deleted" in texts(await gateway.look())
        assert store.cli("EXISTS gray:route:chat gray:route:chat:weights") == 0
        for _ in range(3):
            await gateway.controller.tick()
        assert not await gateway.store.releases.attended()


async def test_a_release_that_was_removed_by_hand_is_over_and_another_may_start(
    store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with leader(store) as gateway:
        first = await gateway.start()
        await gateway.until("ramp")
        store.cli("DEL gray:route:chat:release")
        await gateway.second()
        await gateway.second()
        assert caplog.text.count("or it was removed by hand") == 1
        assert not await gateway.store.releases.attended()
        assert store.cli("HGET gray:route:chat:weights v2") == "1"
        assert (await gateway.start()).record.release != first.record.release
