"""`graygate drill` against a running gateway, whose drills never get further than their start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from gateway.cli.exits import ExitCode
from gateway.release.drill.report import Report, Times
from tests.cli.live import Live
from tests.servers import Server

BEGAN = 1_000_000.0


def keep(store: Server, outcome: Any, name: str = "d1", **fields: Any) -> None:
    one = Report(
        id=name, route="chat", kind="errors", outcome=outcome, target=8.0, gateway="gw1",
        by="alice", began=BEGAN, ended=BEGAN + 20, **fields,
    )  # fmt: skip
    store.execute("RPUSH", "gray:route:chat:drills", msgspec.json.encode(one))


def test_a_route_without_drills_says_so(up: Live) -> None:
    assert up.out("drill", "status", "chat") == "No drill of chat was ever made.\n"
    assert up.out("drill", "list", "chat") == "No drill of chat was ever made.\n"


def test_a_drill_that_begins_is_shown_and_holds_its_route(
    up: Live, store: Server, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"model": "x"}')
    told = up.out("drill", "start", "chat", "--kind", "cut", "--body", str(body), "--why", "try")
    assert "(cut) is running: it begins" in told
    assert "(cut) is running: it begins" in up.out("drill", "status", "chat")
    again = up.run("drill", "start", "chat")
    assert again.exit_code == ExitCode.FAILED
    assert "A drill runs on chat already" in again.stderr
    kept = json.loads(store.cli("GET gray:route:chat:drill"))
    assert (kept["kind"], kept["by"]) == ("cut", "alice")


def test_reports_are_shown_newest_first_with_their_times(up: Live, store: Server) -> None:
    keep(store, "failed", step="stable is asked", why="no answers came")
    times = Times(detected=1.0, decided=1.2, seen=1.3, propagated=1.34, quiet=1.31)
    keep(store, "passed", "d2", times=times, failed=7)
    lines = up.out("drill", "list", "chat").splitlines()
    assert [line.split()[0] for line in lines] == ["DRILL", "d2", "d1"]
    assert "1.34 s" in lines[1]
    told = up.out("drill", "status", "chat")
    assert "passed: 1.34 s from the first failure to weight 0 everywhere, wanted 8 s" in told
    assert "held by all workers" in told
    found = json.loads(up.out("drill", "status", "chat", "--json"))
    assert [one["id"] for one in found["reports"]] == ["d2", "d1"]
    assert found["reports"][0]["times"]["total"] == 1.34


def test_what_cannot_be_had_is_refused_in_words(up: Live) -> None:
    refused = up.run("drill", "start", "chat", "--rate", "100000")
    assert refused.exit_code == ExitCode.FAILED
    assert "The body cannot be used: Expected `float` <= 200.0" in refused.stderr
    assert up.run("drill", "start", "nowhere").exit_code != 0
