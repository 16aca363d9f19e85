from __future__ import annotations

import json

import pytest

from tests.cli.live import Live
from tests.servers import Server, wait_until


@pytest.fixture
def listed(up: Live, store: Server) -> Live:
    """alice is on the whitelist of v2."""
    store.cli("SADD gray:route:chat:whitelist:v2 alice")
    wait_until(
        lambda: len(up.side.store.snapshot.lists["route/chat/whitelist/v2"]) == 1, "in force"
    )
    return up


def test_a_unit_is_told_its_version_and_the_steps(listed: Live) -> None:
    lines = listed.out("explain", "chat", "alice").splitlines()
    assert lines[0] == "alice -> v2 (whitelist)"
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["HIT", "REASON"],
        ["no", "blacklist"],
        ["no", "whitelist"],
        ["yes", "whitelist"],
    ]
    assert lines[5].endswith("The unit is on the whitelist of v2.")
    assert lines[7].startswith("Its place is ")
    assert lines[7].endswith(" %; v2 has 0 to 10 %.")


def test_a_request_is_told_where_its_unit_came_from(listed: Live) -> None:
    request = ("--header", "X-User-Id=alice", "--path", "/x", "--ip", "10.0.0.1")
    lines = listed.out("explain", "chat", *request).splitlines()
    assert lines[0] == "alice, from header:x-user-id -> v2 (whitelist)"


def test_a_request_without_a_unit_has_no_place(listed: Live) -> None:
    lines = listed.out("explain", "chat", "--method", "POST").splitlines()
    assert lines[0] == "a request without a unit -> v1 (stable)"
    assert "each request draws its place anew" in lines[-1]


def test_json_is_what_the_gateway_says(listed: Live) -> None:
    told = json.loads(listed.out("explain", "chat", "alice", "--json"))
    assert (told["version"], told["reason"]) == ("v2", "whitelist")


def test_an_id_cannot_steer_the_terminal(listed: Live) -> None:
    assert "\x1b" not in listed.out("explain", "chat", "\x1b[2Jeve")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chat"], "name a unit, or describe a request with --header, --path, --ip ..."),
        (["chat", "alice", "--ip", "::1"], "name a unit, or describe a request with --header"),
        (["chat", "--header", "x-user-id"], "--header takes NAME=VALUE, as in --header x-user-id="),
        (["chat", "--header", "a=1", "--header", "A=2"], "--header a is given twice; keep one"),
        (["chat", "--path", "x"], "path must begin with /"),
        (["chat", ""], "unit is empty"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], told: str) -> None:
    done = up.run("explain", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"graygate: {told}")
