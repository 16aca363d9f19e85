from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from gateway.cli.entry import graygate
from tests.admin.running import plant, redis_settings
from tests.cli.live import Live, live
from tests.servers import Server, wait_until


def test_every_route_is_a_line_and_the_last_line_is_about_store_and_workers(up: Live) -> None:
    up.side.workers += [up.side.worker(), up.side.worker(sequence=1)]
    head, chat, health = up.out("get").splitlines()
    assert head.split() == ["ROUTE", "STABLE", "WEIGHTS", "REVISION", "LISTS"]
    assert chat == "chat   v1 90 %  v2 10 %  1         -"
    assert chat.index("v1 90 %") == head.index("STABLE")
    assert health.startswith(f"store {up.side.store.status.server} connected (push); table ")
    assert health.endswith("; 2 workers, 1 behind; this gateway leads")


def test_lists_and_a_pause_are_seen(up: Live, store: Server) -> None:
    store.cli("SADD gray:route:chat:whitelist:v2 alice bob")
    store.cli("SADD gray:route:chat:blacklist mallory")
    store.cli("HSET gray:route:chat paused 1")
    lists = up.side.store
    wait_until(
        lambda: (
            len(lists.snapshot.lists["route/chat/blacklist"]) == 1
            and len(lists.snapshot.lists["route/chat/whitelist/v2"]) == 2
            and lists.snapshot.routes["chat"].spec.paused
        ),
        "all is in force",
    )
    line = up.out("get").splitlines()[1]
    assert "v1 100 %" in line
    assert "paused: v2 10 %" in line
    assert line.endswith("blacklist: 1, whitelist v2: 2")


def test_refusals_and_warnings_follow_with_their_keys(up: Live, store: Server) -> None:
    store.cli("HSET gray:route:chat:weights v9 5")
    store.cli("HSET gray:route:chat pathh /x")
    wait_until(lambda: bool(up.side.store.snapshot.warnings), "both are noticed")
    wait_until(lambda: bool(up.side.store.snapshot.refused), "both are noticed")
    lines = up.out("get").splitlines()
    assert lines[2].startswith("refused  gray:route:chat:weights: 'v9' is no version of this route")
    assert lines[3].startswith("warning  gray:route:chat: field 'pathh' is ignored.")


def test_json_is_what_the_gateway_says(up: Live) -> None:
    told = json.loads(up.out("get", "--json"))
    assert told["routes"]["chat"]["weights"] == {"v2": 10}
    one = json.loads(up.out("get", "chat", "--json"))
    assert one == told["routes"]["chat"]


def test_one_route_is_shown_in_detail(up: Live, store: Server) -> None:
    store.execute("RPUSH", "gray:route:chat:rules", '{"when": {"path": "/x"}, "version": "v2"}')
    store.cli("HSET gray:route:chat host example.com path /v1 retries 0 timeout_idle 2.5")
    up.wait_revision(2)
    out = up.out("get", "chat")
    assert out.startswith("chat, revision 2 of 20")
    for line in (
        "v1 (stable)  90 %   0          http://10.0.0.1:1",
        "v2           10 %   0          http://10.0.0.2:1",
        "blacklist           0 ids",
        "unit                header:x-user-id",
        "hosts               example.com",
        "paths               /v1",
        "models              any",
        "failover            1",
        "retries             0",
        "health              -",
        "timeout_idle        2.5",
        "timeout_total       -",
    ):
        assert line in out.splitlines(), out
    assert 'rule 0              {"when":{"path":"/x"}' in out


def test_no_route_at_all_is_said(up: Live, store: Server) -> None:
    up.out("route", "delete", "chat", "--yes")
    wait_until(lambda: up.held() is None, "the route is gone")
    assert up.out("get").splitlines()[0] == "No route is in force."


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_route_that_is_not_there_is_exit_code_1(up: Live, flags: list[str]) -> None:
    done = up.run("get", "ghost", *flags)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "graygate: There is no route 'ghost' in force; there are: chat.\n"


def test_a_route_that_never_became_valid_is_told_with_the_reason(up: Live, store: Server) -> None:
    store.cli("HSET gray:route:new:versions v1 http://10.0.0.1:1")
    store.cli("SADD gray:routes new")
    wait_until(lambda: bool(up.side.store.snapshot.refused), "it is refused")
    done = up.run("get", "new")
    assert done.exit_code == 1
    assert done.stdout.startswith("Route new is not in force.\nrefused  gray:route:new: ")


def test_colour_is_for_terminals_that_want_it(up: Live, store: Server) -> None:
    store.cli("HSET gray:route:chat:weights v9 5")
    wait_until(lambda: bool(up.side.store.snapshot.refused), "it is refused")
    env = {"GRAYGATE_GATEWAY": up.url}
    coloured = CliRunner().invoke(graygate, ["get"], env=env, color=True)
    assert "\x1b[31mrefused\x1b[0m  gray:route:chat:weights" in coloured.stdout
    assert "\x1b" not in CliRunner().invoke(graygate, ["get"], env=env).stdout
    plain = CliRunner().invoke(graygate, ["get"], env={**env, "NO_COLOR": "1"})
    assert "\x1b" not in plain.stdout


def test_a_store_that_is_away_is_said(fresh_valkey: Server) -> None:
    plant(fresh_valkey)
    with live(redis_settings(fresh_valkey)) as up:
        up.wait_revision(1)
        fresh_valkey.kill()
        wait_until(lambda: not up.side.store.status.is_connected, "the store is missed")
        lines = up.out("get").splitlines()
        assert lines[1].startswith("chat ")
        assert lines[-1].startswith("store away (")
        assert "), the last good table stays; table " in lines[-1]
        assert "; 0 workers" in lines[-1]
