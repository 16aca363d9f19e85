from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from gateway.metrics.numbers import Counted
from gateway.metrics.standing import ProcessState, Standing, Vitals
from tests.cli.conftest import Run
from tests.cli.live import Live
from tests.servers import Server, free_port, wait_until

Examine = Callable[..., Result]


@pytest.fixture
def examine(up: Live, store: Server) -> Examine:
    """Runs the doctor on a gateway and its store."""
    # What the workers of a real gateway would say.
    up.side.standing = Standing(workers=1)
    wait_until(lambda: bool(up.side.store.leader.term), "it leads")
    wait_until(lambda: bool(up.side.store.instances.latest), "it shows a sign of life")

    def run(*arguments: str) -> Result:
        up.side.workers[:] = [up.side.worker()]
        up.side.workers[:] = [type(up.side.workers[0])(0, 1, up.side.store.snapshot.sequence)]
        return up.run("doctor", "--redis", store.url, *arguments)

    return run


def told(done: Result) -> dict[str, list[dict[str, Any]]]:
    """Checks by name, out of --json."""
    found: dict[str, list[dict[str, Any]]] = {}
    answer = json.loads(done.stdout)
    assert answer["code"] == done.exit_code
    for check in answer["checks"]:
        found.setdefault(check["name"], []).append(check)
    return found


def test_a_gateway_that_is_well_gets_no_more_than_hints(examine: Examine) -> None:
    done = examine()
    # Of this gateway of a test no table lies on disk, and an old store may lack pushes.
    assert "failure" not in done.stdout
    for line in ("ok      gateway ", "ok      store ", "ok      leader ", "ok      refused "):
        assert line in done.stdout, done.stdout
    assert "ok      rights " in done.stdout
    assert "ok      clocks " in done.stdout
    quiet = examine("--quiet")
    assert "ok      gateway" not in quiet.stdout
    assert quiet.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]


def test_the_exit_code_is_1_for_warnings_and_2_for_failures(
    examine: Examine, up: Live, store: Server
) -> None:
    assert examine("--json").exit_code == 1  # the table on disk
    store.cli("HSET gray:route:chat:weights v2 many")
    wait_until(lambda: bool(up.side.store.snapshot.refused), "it is refused")
    assert examine("--json").exit_code == 2


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        ("HSET gray:route:chat:weights v2 many", "gray:route:chat:weights"),
        ("HSET gray:route:chat:versions 'v 9' nonsense", "gray:route:chat:versions"),
        ("HSET gray:route:chat stable v9", "gray:route:chat"),
        ("RPUSH gray:route:chat:rules nonsense", "gray:route:chat:rules"),
    ],
)
def test_each_refusal_comes_with_the_line_that_mends_it(
    examine: Examine, up: Live, store: Server, edit: str, key: str
) -> None:
    store.cli(edit)
    wait_until(lambda: bool(up.side.store.snapshot.refused), "it is refused")
    found = [check for check in told(examine("--json"))["refused"] if check["text"].startswith(key)]
    assert found
    (todo,) = {check["todo"] for check in found}
    assert todo.startswith("redis-cli ")
    for line in todo.split("; "):
        store.cli(line.removeprefix("redis-cli "))
    wait_until(lambda: not up.side.store.snapshot.refused, "the line has mended it")


def test_a_key_of_another_type_takes_two_lines(examine: Examine, up: Live, store: Server) -> None:
    store.cli("DEL gray:route:chat:weights")
    store.cli("SET gray:route:chat:weights 10")
    wait_until(lambda: bool(up.side.store.snapshot.refused), "it is refused")
    (check,) = told(examine("--json"))["refused"]
    delete, back = check["todo"].split("; ")
    assert delete == "redis-cli DEL gray:route:chat:weights"
    store.cli("DEL gray:route:chat:weights")
    revision = back.rpartition(" ")[2]
    up.out("rollback", "chat", "--to", revision, "--yes")
    wait_until(lambda: not up.side.store.snapshot.refused, "it is mended")


def test_causes_that_refused_nothing_are_no_warning(examine: Examine, up: Live) -> None:
    up.side.counted = Counted(shed={"lag": 0})
    (check,) = told(examine("--json"))["overload"]
    assert check["state"] == "ok"


def test_unknown_keys_are_told(examine: Examine, store: Server) -> None:
    store.cli("HSET gray:route:chat:wieghts v2 10")
    (check,) = told(examine("--json"))["unknown key"]
    assert check["todo"] == "redis-cli DEL gray:route:chat:wieghts"
    assert check["state"] == "warn"


def test_endpoints_workers_and_processes_are_looked_at(examine: Examine, up: Live) -> None:
    up.side.counted = Counted(
        endpoints={("chat", "v1", "http://a"): 0.0, ("chat", "v3", "http://c"): 0.5},
        shed={"lag": 4},
    )
    up.side.standing = Standing(
        workers=3, looping=("worker 2",), restarts={"worker 2": 5}, is_reload_good=False
    )
    up.side.processes[:] = [
        ProcessState(
            role="worker 0",
            vitals=Vitals(descriptors=990, most_descriptors=1000, lag_seconds=0.3),
        ),
        ProcessState(role="control", vitals=Vitals(descriptors=5, most_descriptors=9000)),
    ]
    found = told(examine("--json"))
    down = {check["text"]: check["state"] for check in found["endpoint"]}
    assert down == {
        "http://a of chat/v1 is down for all workers": "fail",
        "http://c of chat/v3 is down for 50% of the workers": "warn",
    }
    assert found["workers"][0]["text"] == "1 of 3 are there"
    states = {name: checks[0]["state"] for name, checks in found.items()}
    assert (states["descriptors"], states["lag"], states["overload"]) == ("fail", "warn", "warn")
    assert (states["processes"], states["restarts"], states["settings"]) == ("fail", "warn", "fail")


def test_rights_that_are_denied_come_with_the_acl_line(up: Live, store: Server) -> None:
    store.cli(
        "ACL SETUSER gw on >secret resetchannels ~gray:* +@all -xadd -zadd -hget -client|tracking"
    )
    try:
        done = up.run(
            "doctor", "--json", "--redis", store.url,
            GRAYGATE_REDIS__USERNAME="gw", GRAYGATE_REDIS__PASSWORD="secret",
        )  # fmt: skip
        (check,) = told(done)["rights"]
        line = check["todo"]
        assert line == "ACL SETUSER gw +client|tracking +hget +xadd +zadd"
        assert check["state"] == "fail"
        assert "may not CLIENT TRACKING, HGET, XADD, ZADD (needed for " in check["text"]
        store.cli(line)
        store.cli("ACL SETUSER gw resetkeys ~other:*")
        done = up.run(
            "doctor", "--json", "--redis", store.url,
            GRAYGATE_REDIS__USERNAME="gw", GRAYGATE_REDIS__PASSWORD="secret",
        )  # fmt: skip
        (check,) = told(done)["rights"]
        assert check["todo"] == "ACL SETUSER gw ~gray:*"
    finally:
        store.cli("ACL DELUSER gw")
    assert store.cli("EXISTS gray:routes") == 1
    assert store.cli("TYPE gray:routes") == "set"  # nothing was done to find out


def test_gateways_that_are_behind_or_of_another_release_are_told(
    examine: Examine, store: Server
) -> None:
    now = int(store.cli("TIME")[0])
    for name, version, revisions in (("old", "0.0.1", {"chat": 0}), ("new", "9.9", {"chat": 9})):
        entry = json.dumps({"at": now, "version": version, "revisions": revisions})
        store.execute("HSET", "gray:instances", name, entry)
    texts = [check["text"] for check in told(examine("--json"))["instances"]]
    assert "old is behind the newest revision of chat" in texts
    assert any(text.startswith("gateways of several releases run: ") for text in texts)


def test_a_release_that_waits_is_told(examine: Examine, store: Server) -> None:
    store.execute("HSET", "gray:route:chat:release", "status", '{"phase": "awaiting-approval"}')
    (check,) = told(examine("--json"))["release"]
    assert check["todo"].startswith("graygate release approve chat")


def test_a_drill_that_is_overdue_is_told(examine: Examine, store: Server) -> None:
    status = '{"phase": "promoted", "started_at": 1000.0, "plan": {"drill": {"every": 3600.0}}}'
    store.execute("HSET", "gray:route:chat:release", "status", status)
    (check,) = told(examine("--json"))["drill"]
    assert "there never was one" in check["text"]
    assert check["todo"] == "graygate drill start chat --wait"


def test_a_store_that_throws_keys_away_is_told(examine: Examine, store: Server) -> None:
    store.cli("CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lru")
    try:
        (check,) = told(examine("--json"))["eviction"]
        assert check["state"] == "fail"
    finally:
        store.cli("CONFIG SET maxmemory 0 maxmemory-policy noeviction")


def test_without_a_gateway_the_store_is_looked_at(run: Run, store: Server) -> None:
    store.cli("HSET gray:route:chat:weights v2 many")
    store.cli("SADD gray:routes chat")
    store.cli("SET gray:nonsense 1")
    done = run(
        "doctor", "--json", "--gateway", f"http://127.0.0.1:{free_port()}", "--redis", store.url
    )
    found = told(done)
    assert done.exit_code == 2
    assert found["gateway"][0]["state"] == "fail"
    assert "No gateway answers" in found["gateway"][0]["text"]
    assert found["store"][0]["state"] == "ok"
    assert any("many" in check["text"] or "stable" in check["text"] for check in found["refused"])
    assert found["unknown key"][0]["todo"] == "redis-cli DEL gray:nonsense"
    assert found["leader"][0]["state"] == "fail"


def test_without_a_store_the_gateway_is_looked_at(up: Live) -> None:
    done = up.run("doctor", "--redis", f"redis://127.0.0.1:{free_port()}/0")
    assert done.exit_code == 2
    assert "fail    store           from here: " in done.stdout
    assert "ok      watch " in done.stdout
    assert "ok      leader " in done.stdout or "fail    leader " in done.stdout


def test_with_neither_it_still_says_so(run: Run) -> None:
    done = run(
        "doctor", "--gateway", f"http://127.0.0.1:{free_port()}",
        "--redis", f"redis://127.0.0.1:{free_port()}/0",
    )  # fmt: skip
    assert done.exit_code == 2
    assert done.stderr == ""
    assert "fail    gateway " in done.stdout
    assert "fail    store " in done.stdout


def test_wrong_settings_are_a_finding(run: Run) -> None:
    Path("bad.toml").write_text("[listen]\nport = 'x'\n")
    done = run("doctor", "--config", "bad.toml", "--gateway", f"http://127.0.0.1:{free_port()}")
    assert done.exit_code == 2
    assert "graygate config check" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["doctor", "now"], "Got unexpected extra argument (now)"),
        (["doctor", "--gateway", "nonsense"], "--gateway takes the URL of an admin port"),
    ],
)
def test_wrong_use_is_one_sentence(run: Run, arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"graygate: {told}")
