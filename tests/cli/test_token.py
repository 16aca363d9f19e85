from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.admin.running import plant, redis_settings
from tests.cli.live import Live, live
from tests.servers import Server, wait_until

TOKEN = "correct-horse"


@pytest.fixture
def guarded(store: Server) -> Iterator[Live]:
    plant(store)
    with live(redis_settings(store), token=TOKEN) as up:
        up.wait_revision(1)
        yield up


def asked(up: Live, *arguments: str, token: str = TOKEN) -> tuple[int, str, str]:
    done = up.run(*arguments, GRAYGATE_ADMIN__TOKEN=token)
    return done.exit_code, done.stdout, done.stderr


def test_A02_a_token_is_printed_once_works_and_can_be_taken_back(guarded: Live) -> None:
    code, out, told = asked(
        guarded, "token", "create", "ci", "--role", "operator", "--routes", "chat, rank*",
        "--expires", "90d", "--why", "the pipeline",
    )  # fmt: skip
    assert code == 0, told
    token = out.strip()
    assert "operator of chat, rank*, until 20" in told
    assert token not in told
    assert asked(guarded, "weights", "set", "chat", "v2=20", token=token)[0] == 0
    assert asked(guarded, "history", "chat")[1].splitlines()[1].split()[2] == "ci"
    code, out, told = asked(guarded, "token", "list", token=token)
    assert (code, out) == (1, "")
    assert "This takes the role admin; ci is operator." in told
    listed = asked(guarded, "token", "list")[1]
    assert token not in listed
    head, row = listed.splitlines()
    assert head.split() == ["ID", "NAME", "ROLE", "ROUTES", "CREATED", "STATE"]
    assert row.split()[1:4] == ["ci", "operator", "chat,rank*"]
    assert asked(guarded, "token", "revoke", "ci")[1] == f"Token {row.split()[0]} is taken back.\n"
    assert "refuses the token" in asked(guarded, "get", token=token)[2]
    assert "taken back 20" in asked(guarded, "token", "list")[1]


def test_json_is_the_answer_of_the_gateway(guarded: Live) -> None:
    made = json.loads(asked(guarded, "token", "create", "ci", "--role", "viewer", "--json")[1])
    assert made["token"].startswith(f"gray_{made['id']}_")
    listed = json.loads(asked(guarded, "token", "list", "--json")[1])
    assert listed["tokens"][made["id"]]["valid"] is True
    gone = json.loads(asked(guarded, "token", "revoke", made["id"], "--json")[1])
    assert gone == {"revoked": [made["id"]]}


def test_none_and_garbage_are_told(guarded: Live, store: Server) -> None:
    assert asked(guarded, "token", "list")[1] == "There are no tokens in the store.\n"
    store.execute("HSET", "gray:tokens", "0a1b2c3d", "{}")
    wait_until(lambda: bool(guarded.side.store.tokens.refused), "it is seen")
    assert "refused  token '0a1b2c3d' is valid for nobody" in asked(guarded, "token", "list")[1]
    assert "token '0a1b2c3d' is valid for nobody" in asked(guarded, "get")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["create", "ci"], 2, "Missing option '--role'."),
        (["create", "ci", "--role", "root"], 2, "Invalid value for '--role'"),
        (["create", "ci", "--role", "viewer", "--expires", "soon"], 2, "--expires takes a time"),
        (["create", "ci", "--role", "viewer", "--expires", "0d"], 2, "--expires takes 1m to 3660d"),
        (
            ["create", "ci", "--role", "viewer", "--expires", f"{'9' * 5000}d"],
            2,
            "--expires takes 1m to 3660d, or never; not 999",
        ),
        (["create", "a b", "--role", "viewer"], 1, "No token was made: its name is none"),
        (["create", "redis", "--role", "viewer"], 1, "No token was made: its name is none"),
        (
            ["create", "ci", "--role", "viewer", "--routes", "a/b"],
            1,
            "No token was made: a pattern",
        ),
        (["revoke", "ghost"], 1, "There is no token 'ghost' to take back; see: graygate token li"),
    ],
)
def test_wrong_use_is_one_sentence(
    guarded: Live, arguments: list[str], code: int, told: str
) -> None:
    exit_code, out, err = asked(guarded, "token", *arguments)
    assert (exit_code, out) == (code, "")
    assert err.startswith(f"graygate: {told}")


@pytest.mark.parametrize("command", [["get"], ["top", "--once"]])
def test_a_token_for_other_routes_is_told_so(guarded: Live, command: list[str]) -> None:
    made = asked(guarded, "token", "create", "ci", "--role", "viewer", "--routes", "nope*")
    code, out, _ = asked(guarded, *command, token=made[1].strip())
    assert code == 0
    assert "No route is in force within this token's reach: nope*." in out


@pytest.mark.parametrize("token", ["", "wrong"])
def test_the_doctor_says_which_token_to_set(guarded: Live, store: Server, token: str) -> None:
    code, out, _ = asked(guarded, "doctor", "--redis", store.url, token=token)
    assert code == 2
    assert "-> set GRAYGATE_ADMIN__TOKEN to a good token" in out
    assert "start it" not in out
