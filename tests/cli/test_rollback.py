from __future__ import annotations

import json

import pytest

from tests.cli.live import Live
from tests.servers import Server


def test_weights_and_lists_come_back_and_it_is_a_revision(up: Live, store: Server) -> None:
    up.out("weights", "set", "chat", "v2=50")
    up.out("blacklist", "add", "chat", "bob")
    out = up.out("rollback", "chat", "--to", "1", "--yes", "--why", "errors")
    assert out == "chat: as at revision 1; this is revision 4.\n"
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    assert store.cli("SCARD gray:route:chat:blacklist") == 0
    assert json.loads(up.out("history", "chat", "--json"))[0]["why"] == "errors"


def test_going_back_to_where_it_stands_changes_nothing(up: Live) -> None:
    out = up.out("rollback", "chat", "--to", "1", "--yes")
    assert out == "chat: stands as at revision 1 already; 1 stays.\n"


def test_json_is_what_the_gateway_says(up: Live) -> None:
    up.out("weights", "set", "chat", "v2=50")
    told = json.loads(up.out("rollback", "chat", "--to", "1", "--yes", "--json"))
    assert told == {"revision": 3, "changed": True}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["chat", "--to", "1"], 2, "there is nobody to ask here; say --yes if you mean it"),
        (["chat", "--yes"], 2, "Missing option '--to'."),
        (["chat", "--to", "0", "--yes"], 2, "Invalid value for '--to'"),
        (["chat", "--to", "one", "--yes"], 2, "Invalid value for '--to'"),
        (["--to", "1"], 2, "Missing argument 'ROUTE'."),
        (["chat", "--to", "9", "--yes"], 1, "chat has no revision 9 in its history;"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("rollback", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")
