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
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("route", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")
    assert up.held() is not None
