"""`graygate release`: from the plan to the exit code that a pipeline decides by."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.admin.context import CONTEXT
from gateway.release.conduct.desk import Desk
from tests.admin.running import plant, redis_settings
from tests.cli.live import Live, live
from tests.release.conduct.conducting import Leader, WallClock
from tests.servers import Server, wait_until

PLAN = """
candidate = "v3"
goal = "a cheaper model"
mode = "manual"
stages = [{weight = 20, hold = "1s", minimum_requests = 0}, {weight = 100, hold = "1s"}]
bake = {duration = "1s", holdback = 5}
"""


@pytest.fixture
def conducted(store: Server) -> Iterator[Live]:
    """A gateway that answers commands, leads, and conducts; v3 is the candidate of `plan.toml`."""
    plant(store)
    store.cli("HDEL gray:route:chat:weights v2")
    Path("plan.toml").write_text(PLAN)
    with live(redis_settings(store)) as up:
        up.wait_revision(1)
        wait_until(lambda: up.side.store.leader.term > 0, "it leads")
        desk = up.side.admin._app[CONTEXT].releases
        assert isinstance(desk, Desk)
        desk._heard_seconds = 20.0
        with conducting(up):
            yield up


@contextmanager
def conducting(up: Live) -> Iterator[None]:
    """The controller, in the loop that the API runs in."""
    tasks: list[asyncio.Task[None]] = []

    async def begin() -> None:
        leader = Leader(up.side.store, WallClock())
        tasks.append(asyncio.create_task(leader.controller.run()))

    async def end() -> None:
        tasks[0].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[0]

    asyncio.run_coroutine_threadsafe(begin(), up.loop).result(10)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(end(), up.loop).result(10)


def phase(up: Live) -> str:
    told = json.loads(up.out("release", "status", "chat", "--json"))
    return str(told["status"]["phase"])


def start(up: Live) -> str:
    return up.out("release", "start", "chat", "v3", "--plan", "plan.toml", "--why", "cheaper")


def test_before_the_first_release_there_is_nothing_to_see(up: Live) -> None:
    assert up.out("release", "status", "chat") == "There never was a release of this route.\n"
    assert up.out("release", "list", "chat") == "No release of chat has ended yet.\n"
    for verb in ("pause", "abort", "rollback", "approve"):
        done = up.run("release", verb, "chat")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "There never was a release of chat; begin one with" in done.stderr
    assert up.run("release", "watch", "chat").exit_code == 2


def test_a_release_is_started_paused_resumed_and_aborted(conducted: Live, store: Server) -> None:
    told = start(conducted)
    assert ": release r" in told
    assert "v1 to v3, preparing, before the first stage, 0 %" in told
    assert "paused" in conducted.out("release", "pause", "chat", "--why", "lunch")
    assert "by alice (lunch)" in conducted.out("release", "status", "chat")
    conducted.out("release", "resume", "chat")
    told = conducted.out("release", "promote", "chat", "--yes")
    assert "ramp, stage 1 of 2, 20 %" in told
    assert store.cli("HGET gray:route:chat:weights v3") == "20"
    assert "aborted" in conducted.out("release", "abort", "chat")
    listed = conducted.out("release", "list", "chat")
    assert "aborted" in listed
    assert "a cheaper model" in listed


def test_what_nobody_takes_is_told_with_what_keeps_it_from_being_taken(
    up: Live, store: Server
) -> None:
    store.cli("HDEL gray:route:chat:weights v2")
    Path("plan.toml").write_text(PLAN)
    start(up)
    desk = up.side.admin._app[CONTEXT].releases
    assert isinstance(desk, Desk)
    desk._heard_seconds = 0.1
    assert "No gateway has taken it yet" in up.out("release", "pause", "chat")
    desk._problems = {"chat": "gray:route:chat:weights is of another type"}
    told = up.out("release", "pause", "chat")
    assert "cannot go on: gray:route:chat:weights is of another type" in told
    assert "No gateway" not in told


def test_a_route_that_is_refused_is_said_with_what_is_in_force_until_it_is_mended(
    conducted: Live, store: Server
) -> None:
    start(conducted)
    conducted.out("release", "promote", "chat", "--yes")
    following = conducted.side.store
    wait_until(
        lambda: following.snapshot.routes["chat"].spec.weights.get("v3") == 20, "it has 20 %"
    )
    assert "refused" not in conducted.out("release", "status", "chat")
    store.cli("HSET gray:route:chat:weights v3 inf")
    wait_until(lambda: bool(following.snapshot.refused), "it is refused")
    told = conducted.out("release", "status", "chat").splitlines()
    assert told[1].startswith("refused: The store's chat is refused, so its last good form stays")
    assert "v3 gets 20 % whatever the release says" in told[1]
    assert "gray:route:chat:weights: the weight of v3 is 'inf'; write percent from 0" in told[1]
    conducted.out("release", "rollback", "chat")
    wait_until(lambda: not following.snapshot.refused, "the rollback mended it")
    assert "refused" not in conducted.out("release", "status", "chat")


def test_what_is_proposed_is_shown_with_the_words_to_agree_to_it(conducted: Live) -> None:
    start(conducted)
    wait_until(lambda: phase(conducted) == "awaiting-approval", "it asks")
    told = conducted.out("release", "status", "chat")
    assert "Say: graygate release approve chat --about promote:0" in told
    wrong = conducted.run("release", "approve", "chat", "--about", "promote:7")
    assert (wrong.exit_code, "no longer proposed" in wrong.stderr) == (1, True)
    told = conducted.out("release", "approve", "chat", "--about", "promote:0")
    assert "stage 1 of 2, 20 %" in told


@pytest.mark.parametrize(
    ("sayings", "code", "last"),
    [
        (["promote", "promote", "promote"], 0, "v3 is the new stable"),
        (["promote", "rollback"], 1, "v3 is rolled back"),
        (["abort"], 6, "The release is aborted"),
    ],
)
def test_who_waits_gets_the_decisions_and_the_exit_code_of_the_end(
    conducted: Live, sayings: list[str], code: int, last: str
) -> None:
    words = ["release", "start", "chat", "v3", "--plan", "plan.toml", "--wait"]
    # Of its own, since the output of this process belongs to one command at a time.
    waiting = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *words, "--gateway", conducted.url],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: conducted.run("release", "pause", "chat").exit_code == 0, "it began")
        conducted.out("release", "resume", "chat")
        for verb in sayings:
            conducted.out("release", verb, "chat", *(["--yes"] if verb == "promote" else []))
        out, _ = waiting.communicate(timeout=30)
    finally:
        waiting.kill()
        waiting.wait()
    assert waiting.returncode == code, out
    assert last in out.splitlines()[-1]


def test_who_waits_no_longer_than_so_long_is_told_that_it_still_runs(conducted: Live) -> None:
    words = ("release", "start", "chat", "v3", "--plan", "plan.toml", "--wait", "--timeout", "1")
    assert conducted.run(*words).exit_code == 7
    done = conducted.run("release", "watch", "chat", "--timeout", "1", "--json")
    assert (done.exit_code, done.stdout) == (7, "")


def test_a_rollback_is_latched_until_somebody_releases_it(conducted: Live) -> None:
    start(conducted)
    conducted.out("release", "promote", "chat", "--yes")
    assert "rolled-back, latched" in conducted.out("release", "rollback", "chat")
    again = conducted.run("release", "start", "chat", "v3", "--plan", "plan.toml")
    assert (again.exit_code, "release-latch chat" in again.stderr) == (1, True)
    conducted.out("release", "release-latch", "chat")
    start(conducted)


def test_reports_come_in_three_forms(conducted: Live) -> None:
    start(conducted)
    assert conducted.out("release", "report", "chat").startswith("#")
    assert "<svg" in conducted.out("release", "report", "chat", "--format", "html")
    told = json.loads(conducted.out("release", "report", "chat", "--json"))
    assert told["goal"] == "a cheaper model"
    missing = conducted.run("release", "report", "chat", "--release", "r9")
    assert (missing.exit_code, "has no release 'r9'" in missing.stderr) == (1, True)


def test_a_plan_is_told_in_words(up: Live) -> None:
    told = up.out("release", "plan", "chat", "v2", "--preset", "rolling")
    assert "Stage 1, 20 %" in told
    assert "The route has no traffic" in told
    assert "canary" in up.out("release", "plan", "chat", "v2", "--json")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["chat", "v2", "--plan", "absent.toml"], 2, "absent.toml cannot be read"),
        (["chat", "v2", "--plan", "bad.toml"], 2, "bad.toml is not valid TOML"),
        (["chat", "v2", "--preset", "wild"], 2, "'wild' is not one of"),
        (["chat", "v9"], 1, "v9 is no version of chat"),
        (["ghost", "v2"], 1, "There is no route 'ghost'"),
        (["chat"], 2, "Missing argument 'CANDIDATE'"),
    ],
)
def test_what_is_wrong_with_a_start_is_told(
    up: Live, arguments: list[str], code: int, said: str
) -> None:
    Path("bad.toml").write_text("candidate = ")
    done = up.run("release", "start", *arguments)
    assert done.exit_code == code, done.output
    assert said in done.stderr


def test_against_the_judge_takes_somebody_to_ask(conducted: Live) -> None:
    start(conducted)
    for verb in ("promote", "continue"):
        done = conducted.run("release", verb, "chat")
        assert (done.exit_code, "say --yes" in done.stderr) == (2, True)
