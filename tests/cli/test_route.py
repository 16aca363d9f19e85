from __future__ import annotations

import json

import pytest

from tests.cli.live import Live
from tests.servers import Server, wait_until


def test_a_deleted_route_comes_back_as_the_command_says(up: Live, store: Server) -> None:
    out = up.out("route", "delete", "chat", "--yes", "--why", "retired & old")
    assert out == ("chat: deleted, revision 2; back with: graygate rollback chat --to 1\n")
    wait_until(lambda: up.held() is None, "the route is gone")
    assert json.loads(up.out("history", "chat", "--json"))[0]["why"] == "retired & old"
    up.out("rollback", "chat", "--to", "1", "--yes")
    up.wait_revision(3)
    assert store.cli("HGET gray:route:chat stable") == "v1"


def test_json_is_what_the_gateway_says(up: Live) -> None:
    told = json.loads(up.out("route", "delete", "chat", "--yes", "--json"))
    assert told == {"revision": 2, "changed": True}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["delete", "chat"], 2, "there is nobody to ask here; say --yes if you mean it"),
        (["delete", "--yes"], 2, "Missing argument 'ROUTE'."),
        (["remove", "chat"], 2, "No such command 'remove'."),
        (["delete", "ghost", "--yes"], 1, "there is no route ghost in the store"),
        (["delete", "chat", "--yes", "--revision", "9"], 4, "Route chat stands at revision 1 now"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("route", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")
    assert up.held() is not None


def test_a_route_is_added_and_its_fields_are_set_and_cleared(up: Live, store: Server) -> None:
    out = up.out(
        *("route", "add", "rank", "--version", "v1=http://10.0.0.4:1,http://10.0.0.5:1"),
        *("--version", "v2=http://10.0.0.6:1", "path=/rank", "dialect=openai", "--why", "new"),
    )
    assert out == "rank: revision 1.\n"
    assert store.cli("HGETALL gray:route:rank") == {
        **{"stable": "v1", "path": "/rank", "dialect": "openai"}
    }
    assert store.cli("HGET gray:route:rank:versions v1") == "http://10.0.0.4:1 http://10.0.0.5:1"
    assert up.out("route", "set", "rank", "timeout_idle=20", "dialect=") == "rank: revision 2.\n"
    assert store.cli("HGETALL gray:route:rank") == {
        **{"stable": "v1", "path": "/rank", "timeout_idle": "20"}
    }
    assert up.out("route", "set", "rank", "timeout_idle=20.0") == (
        "rank: as before; revision 2 stays.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["add", "rank"], 2, "Missing option '--version'."),
        (["add", "rank", "--version", "v1"], 2, "'v1' is no setting: write NAME=VALUE"),
        (["add", "chat", "--version", "v1=http://h"], 1, "There is a route chat already; change"),
        (["add", "rank", "--version", "v1=h"], 1, "Refused, nothing was written: "),
        (["add", "rank", "--version", "v1=http://h", "pat=/"], 1, "Refused, nothing was written: "
         "pat: is no field of a route; did you mean path?"),
        (["set", "chat"], 2, "Missing argument 'FIELD=VALUE...'."),
        (["set", "chat", "path=/a", "path=/b"], 2, "path is given twice; keep one of them"),
        (["set", "chat", "path=a"], 1, "Refused, nothing was written: gray:route:chat: path: "),
        (["set", "ghost", "path=/a"], 1, "There is no route ghost in the store."),
        (["set", "chat", "path=/a", "--revision", "9"], 4, "Route chat stands at revision 1 now"),
    ],
)  # fmt: skip
def test_wrong_fields_are_one_sentence(
    up: Live, arguments: list[str], code: int, told: str
) -> None:
    done = up.run("route", *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert done.stderr.startswith(f"graygate: {told}")
