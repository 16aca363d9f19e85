from __future__ import annotations

import json

import pytest

from tests.cli.live import Live
from tests.servers import Server


def test_weights_are_set_with_who_and_why(up: Live, store: Server) -> None:
    out = up.out("weights", "set", "chat", "v2=20", "v3=2.5%", "--why", "looks good")
    assert out == "chat: v2 20 %, v3 2.5 %; revision 2.\n"
    assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "20", "v3": "2.5"}
    newest = json.loads(up.out("history", "chat", "--json"))[0]
    assert (newest["by"], newest["via"], newest["why"]) == ("alice", "cli", "looks good")


def test_the_same_weights_again_change_nothing(up: Live) -> None:
    assert (
        up.out("weights", "set", "chat", "v2=10") == "chat: v2 10 % as before; revision 1 stays.\n"
    )


def test_json_is_what_the_gateway_says(up: Live) -> None:
    told = json.loads(up.out("weights", "set", "chat", "v2=20", "--json"))
    assert told == {"revision": 2, "changed": True}


def test_another_revision_is_a_conflict_and_exit_code_4(up: Live, store: Server) -> None:
    assert up.run("weights", "set", "chat", "v2=20", "--revision", "1").exit_code == 0
    done = up.run("weights", "set", "chat", "v2=30", "--revision", "1")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "stands at revision 2 now, not at 1; nothing was written" in done.stderr
    assert store.cli("HGET gray:route:chat:weights v2") == "20"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chat", "v9=1"], "'v9' is no version of this route."),
        (["chat", "v2=60", "v3=60"], "add up to 120"),
        (["chat", "v1=10"], "v1 is stable and takes the rest"),
        (["ghost", "v2=1"], "There is no route ghost in the store."),
        (["a/b", "v2=1"], "'a/b' is no route name"),
    ],
)
def test_what_is_refused_is_exit_code_1(up: Live, arguments: list[str], told: str) -> None:
    done = up.run("weights", "set", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chat"], "Missing argument 'VERSION=PERCENT...'."),
        ([], "Missing argument 'ROUTE'."),
        (["chat", "v2"], "'v2' is no weight: write VERSION=PERCENT from 0 to 100, as in v2=20"),
        (["chat", "v2=x"], "'v2=x' is no weight"),
        (["chat", "v2=101"], "'v2=101' is no weight"),
        (["chat", "v2=1e1"], "'v2=1e1' is no weight"),
        (["chat", "=1"], "'=1' is no weight"),
        (["chat", "v2=1", "v2=2"], "v2 is given twice; keep one of them"),
        (["chat", "v2=1", "--revision", "x"], "Invalid value for '--revision'"),
    ],
)
def test_wrong_use_is_told_before_anybody_is_asked(
    up: Live, arguments: list[str], told: str
) -> None:
    done = up.run("weights", "set", *arguments, GRAYGATE_GATEWAY="http://127.0.0.1:1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"graygate: {told}")
