from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import ids
from tests.cli.live import Live
from tests.servers import Server


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("whitelist", "chat", "v2"), "gray:route:chat:whitelist:v2"),
        (("blacklist", "chat"), "gray:route:chat:blacklist"),
    ],
)
def test_ids_come_and_go_and_are_listed(
    up: Live, store: Server, path: tuple[str, ...], key: str
) -> None:
    group, *names = path
    name = " ".join([names[0], group, *names[1:]])
    added = up.out(group, "add", *names, "alice", "bob", "--why", "testers")
    assert added == f"{name}: 2 ids on the list; revision 2.\n"
    assert up.out(group, "add", *names, "alice") == (
        f"{name}: 1 id on the list as before; revision 2.\n"
    )
    assert up.out(group, "remove", *names, "bob") == f"{name}: 1 id off the list; revision 3.\n"
    assert store.cli(f"SISMEMBER {key} alice") == 1
    assert store.cli(f"SISMEMBER {key} bob") == 0
    assert up.out(group, "list", *names) == "alice\n"
    assert json.loads(up.out(group, "list", *names, "--json")) == {"count": 1, "ids": ["alice"]}
    newest, older, _ = json.loads(up.out("history", "chat", "--json"))
    assert (newest["lists"], older["why"]) == (f"{_machine(path)} +0 -1", "testers")


def _machine(path: tuple[str, ...]) -> str:
    group, route, *version = path
    return "/".join(["route", route, group, *version])


def test_a_file_goes_in_portions_and_comes_out_as_it_went_in(
    up: Live, store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "MOST_IN_A_PORTION", 40)
    file = tmp_path / "ids"
    file.write_text("".join(f"user-{number:03}\n" for number in range(100)))
    out = up.out("whitelist", "add", "chat", "v2", "zoe", "--file", str(file))
    assert out == "chat whitelist v2: 101 ids on the list; revision 4.\n"
    assert up.out("whitelist", "list", "chat", "v2") == file.read_text() + "zoe\n"
    done = up.run("whitelist", "remove", "chat", "v2", "--file", "-", stdin=file.read_text())
    assert done.exit_code == 0
    assert store.cli("SMEMBERS gray:route:chat:whitelist:v2") in ({"zoe"}, ["zoe"])


def test_json_tells_of_all_portions(
    up: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "MOST_IN_A_PORTION", 2)
    up.out("blacklist", "add", "chat", "c")
    told = json.loads(up.out("blacklist", "add", "chat", "a", "b", "c", "--json"))
    assert told == {"revision": 3, "changed": True}


def test_more_ids_than_are_printed_are_told_apart_from_the_ids(up: Live) -> None:
    up.out("blacklist", "add", "chat", "a", "b", "c")
    done = up.run("blacklist", "list", "chat", "--most", "2")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "2 of 3 ids; --most shows more.\n"


def test_ids_come_out_as_they_are_where_no_terminal_is(up: Live, store: Server) -> None:
    store.execute("SADD", "gray:route:chat:blacklist", "\x1b[2Jeve")
    assert up.out("blacklist", "list", "chat") == "\x1b[2Jeve\n"


def test_a_failure_on_the_way_says_how_far_it_got(
    up: Live, store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "MOST_IN_A_PORTION", 2)
    # One id that the store is not given, after others that it was.
    done = up.run("blacklist", "add", "chat", "a", "b", "c", "x" * 300)
    assert done.exit_code == 1
    assert "an id has 300 bytes; 1 to 256 are allowed" in done.stderr
    assert "The first 2 of 4 ids were done before; send the whole file again" in done.stderr
    assert store.cli("SCARD gray:route:chat:blacklist") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["whitelist", "add", "chat", "v2"], 2, "name ids, or a file that holds one a line with"),
        (["whitelist", "add", "chat", "v2", ""], 2, "an id is empty"),
        (["whitelist", "add", "chat"], 2, "Missing argument 'VERSION'."),
        (["blacklist", "remove", "chat"], 2, "name ids, or a file that holds one a line with"),
        (["blacklist", "add", "chat", "--file", "nowhere"], 2, "nowhere cannot be read: No such"),
        (["blacklist", "list", "chat", "--most", "0"], 2, "Invalid value for '--most'"),
        (["whitelist", "ad", "chat"], 2, "No such command 'ad'."),
        (["whitelist", "add", "chat", "v9", "a"], 1, "the whitelist of v9 of chat belongs to no"),
        (["whitelist", "list", "chat", "v9"], 1, "'v9' is no version of this route;"),
        (["blacklist", "add", "ghost", "a"], 1, "There is no route ghost in the store."),
        (["blacklist", "list", "ghost"], 1, "There is no route 'ghost' in force;"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")
