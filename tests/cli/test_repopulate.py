from __future__ import annotations

import json

from tests.cli.live import Live
from tests.servers import Server, wait_until


def test_a_store_that_lost_everything_is_filled_again(up: Live, store: Server) -> None:
    store.cli("FLUSHALL")
    wait_until(lambda: bool(up.side.store.snapshot.refused), "the loss is noticed")
    out = up.out("repopulate", "--yes", "--why", "after the crash")
    assert out.startswith("chat: put back, revision ")
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    newest = json.loads(up.out("history", "chat", "--json"))[0]
    assert newest["why"] == "after the crash"


def test_where_nothing_is_lost_nothing_is_done(up: Live) -> None:
    assert up.out("repopulate", "--yes") == "Nothing to do: the store has lost no route.\n"
    assert json.loads(up.out("repopulate", "--yes", "--json")) == {"routes": {}}


def test_without_a_terminal_yes_must_be_said(up: Live) -> None:
    done = up.run("repopulate")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("graygate: there is nobody to ask here; say --yes if you mean it")
