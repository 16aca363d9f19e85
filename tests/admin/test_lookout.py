from __future__ import annotations

import pytest

from gateway.admin.events import EVENTS
from gateway.metrics.numbers import Counted, Numbers
from gateway.metrics.standing import Standing
from tests.admin.running import Running, until
from tests.servers import Server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.lookout.LOOK_SECONDS", 0.05)


def told(side: Running, kind: str) -> list[tuple[str, object, object]]:
    """Route, alarm and what it is about, of every event of this kind so far."""
    kept = side.admin._app[EVENTS]._kept
    return [
        (event.route, event.data.get("alarm"), event.data.get("about"))
        for event in kept
        if event.kind == kind
    ]


def panicking() -> Counted:
    numbers = Numbers()
    numbers.is_panicking = True
    return Counted(numbers={("chat", "v2"): numbers})


async def test_what_lasts_is_an_alarm_and_what_is_over_is_told(side: Running) -> None:
    log = side.admin._app[EVENTS]
    side.standing = Standing(workers=0)
    await until(lambda: log.newest > 0, "it has looked around")
    side.standing = Standing(workers=2, looping=("control",), is_reload_good=False)
    side.counted = panicking()
    expected = {
        ("", "crash_loop", "control"),
        ("", "workers_missing", ""),
        ("", "reload_failed", ""),
        ("chat", "panic", "v2"),
    }
    await until(lambda: expected <= set(told(side, "alarm")), "all of it is told")
    side.standing, side.counted = Standing(workers=0), Counted()
    await until(lambda: expected <= set(told(side, "alarm_over")), "and that it is over")
    assert len(told(side, "alarm")) == len(set(told(side, "alarm")))


async def test_refused_requests_are_an_alarm_while_they_go_on(side: Running) -> None:
    await until(lambda: side.admin._app[EVENTS].newest > 0, "it has looked around")
    refused = 0

    def more() -> bool:
        nonlocal refused
        refused += 1
        side.counted = Counted(shed={"lag": refused})
        return ("", "overload", "lag") in told(side, "alarm")

    await until(more, "it is told")
    await until(lambda: ("", "overload", "lag") in told(side, "alarm_over"), "it is over")


async def test_an_edit_that_nobody_records_is_told_after_a_while(
    side: Running, store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.admin.lookout.PATIENCE_SECONDS", 0.2)

    async def record(name: str) -> None:
        return None

    await until(lambda: side.admin._app[EVENTS].newest > 0, "it has looked around")
    monkeypatch.setattr(side.store._recorder, "_record", record)
    store.cli("HSET gray:route:chat:weights v2 30")
    await until(lambda: ("chat", "unrecorded", "") in told(side, "alarm"), "the alarm is told")
    await until(lambda: bool(told(side, "route_changed")), "the change is told")


async def test_many_revisions_at_once_are_told_as_their_number_and_the_newest(
    side: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.admin.lookout.MOST_HEADS", 2)
    monkeypatch.setattr("gateway.admin.lookout.SETTLE_SECONDS", 3.0)
    log = side.admin._app[EVENTS]
    await until(lambda: log.newest > 0, "it has looked around")
    for weight in range(20, 26):
        await side.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": weight}})
    await until(lambda: len(told(side, "route_changed")) > 0, "the newest are told")
    revisions = [event.data["revision"] for event in log._kept if event.kind == "route_changed"]
    assert revisions[-1] == 7
    skipped = [event.data["count"] for event in log._kept if event.kind == "revisions_skipped"]
    assert sum(map(int, map(str, skipped))) + len(revisions) == 6


async def test_what_goes_wrong_in_a_look_does_not_end_the_looking(
    side: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = side.admin._app[EVENTS]
    await until(lambda: log.newest > 0, "it has looked around")

    def broken(self: Running) -> Counted:
        raise RuntimeError("oh")

    monkeypatch.setattr(Running, "counted", property(broken), raising=False)
    await until(lambda: "A look around failed." in caplog.text, "it is logged")
    monkeypatch.undo()
    side.counted = panicking()
    await until(lambda: ("chat", "panic", "v2") in told(side, "alarm"), "it looks on")
