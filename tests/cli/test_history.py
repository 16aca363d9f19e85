from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.cli.live import Live
from tests.servers import Server


def rows(out: str) -> list[str]:
    return out.splitlines()[1:]


def test_the_newest_comes_first_in_words(up: Live) -> None:
    up.out("weights", "set", "chat", "v2=20", "v3=5", "--why", "more")
    up.out("whitelist", "add", "chat", "v2", "bob")
    out = up.out("history", "chat")
    assert out.splitlines()[0].split() == ["REVISION", "WHEN", "BY", "VIA", "WHY", "CHANGES"]
    lists, weights, first = rows(out)
    assert lists.endswith("whitelist v2: +1 -0")
    assert weights.split()[0] == "2"
    assert weights.split()[2:5] == ["alice", "cli", "more"]
    assert weights.endswith("weights v2: 10 -> 20, weights v3: none -> 5")
    assert "stable: none -> v1" in first
    assert "versions v1: none -> http://10.0.0.1:1" in first
    when = datetime.fromisoformat(weights.split()[1])
    at_ms = json.loads(up.out("history", "chat", "--json"))[1]["at_ms"]
    assert when.timestamp() == at_ms // 1000
    assert when.utcoffset() is not None


def test_rules_are_counted_and_long_values_cut(up: Live, store: Server) -> None:
    store.execute("RPUSH", "gray:route:chat:rules", '{"when": {}, "version": "v2"}')
    store.cli(f"HSET gray:route:chat:versions v3 http://10.0.0.3/{'x' * 100}")
    up.wait_revision(2)
    told = " ".join(rows(up.out("history", "chat")))
    assert "rules: 0 -> 1" in told
    assert f"http://10.0.0.3/{'x' * 29}..." in told
    assert "x" * 40 not in told


def test_only_so_many_are_shown(up: Live) -> None:
    up.out("weights", "set", "chat", "v2=20")
    assert len(rows(up.out("history", "chat", "--most", "1"))) == 1


def test_a_deletion_is_a_revision_and_is_still_told_afterwards(up: Live) -> None:
    up.out("route", "delete", "chat", "--yes", "--why", "retired")
    newest = rows(up.out("history", "chat"))[0]
    assert newest.split()[4:] == ["retired", "deleted"]


def test_a_reason_cannot_steer_the_terminal(up: Live) -> None:
    up.out("weights", "set", "chat", "v2=20", "--why", "\x1b[2J\r\nrevision 9")
    out = up.out("history", "chat")
    assert "\x1b" not in out
    assert len(rows(out)) == 2
    assert "\\x1b[2J\\r\\nrevision 9" in out


def test_A07_what_was_altered_fails_the_verification(up: Live, store: Server) -> None:
    up.out("weights", "set", "chat", "v2=20")
    out = up.out("history", "verify")
    chat, audit = rows(out)
    assert out.splitlines()[0].split() == ["HISTORY", "ENTRIES", "NEWEST", "HASH", "VERDICT"]
    assert (chat.split()[:3], chat.split()[4]) == (["chat", "2", "2"], "good")
    assert audit.split() == ["(audit)", "0", "0", "-", "good"]
    assert json.loads(up.out("history", "verify", "chat", "--json"))[0]["problems"] == []
    store.cli("XDEL gray:route:chat:history 1-1")
    done = up.run("history", "verify", "chat")
    assert done.exit_code == 1
    assert "what came before 2 was removed" in done.stdout
    assert done.stderr == "graygate: Not everything is as it was written.\n"


def test_all_is_exported_line_by_line(up: Live) -> None:
    up.out("weights", "set", "chat", "v2=20", "--why", "more")
    lines = [json.loads(line) for line in up.out("history", "export").splitlines()]
    assert [(one["route"], one["revision"], one["why"]) for one in lines] == [
        ("chat", 1, "edited in the store"),
        ("chat", 2, "more"),
    ]
    assert up.out("history", "export", "chat") == up.out("history", "export")
    assert up.out("history", "show", "chat") == up.out("history", "chat")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "Missing argument 'ROUTE'."),
        (["chat", "--most", "0"], 2, "Invalid value for '--most'"),
        (["ghost"], 1, "There is no route 'ghost' in force; there are: chat."),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("history", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")


def test_two_revisions_are_compared_field_by_field(up: Live) -> None:
    up.out("whitelist", "add", "chat", "v2", *(f"user-{number}" for number in range(7)))
    up.out("weights", "set", "chat", "v2=25")
    up.out("rules", "add", "chat", '{"when":{},"version":"v3"}')
    assert up.out("history", "diff", "chat", "1", "4") == (
        "  ~ weight v2: 10 -> 25\n"
        '  + rule 0: {"when":{},"version":"v3"}\n'
        "  + whitelist v2: 7 ids (user-0, user-1, user-2, user-3, user-4, ...)\n"
    )
    assert up.out("history", "diff", "chat", "3", "1") == (
        "  ~ weight v2: 25 -> 10\n"
        "  - whitelist v2: 7 ids (user-0, user-1, user-2, user-3, user-4, ...)\n"
    )
    assert up.out("history", "diff", "chat", "2", "2") == "chat: no difference.\n"
    assert json.loads(up.out("history", "diff", "chat", "1", "2", "--json"))["complete"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["chat", "1"], 2, "Missing argument 'TO'."),
        (["chat", "0", "1"], 2, "Invalid value for 'FROM'"),
        (["chat", "1", "9"], 1, "chat has no revision 9 in its history; see: graygate history"),
        (["ghost", "1", "2"], 1, "ghost has no revision 1 in its history; see: graygate history"),
    ],
)
def test_a_wrong_comparison_is_one_sentence(
    up: Live, arguments: list[str], code: int, told: str
) -> None:
    done = up.run("history", "diff", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")


def test_members_that_nobody_saw_are_unknown(up: Live, store: Server) -> None:
    name = b"route/chat/whitelist/v2"
    store.execute("XADD", "gray:route:chat:history", "2-0", name, "?")
    store.execute(
        *("XADD", "gray:route:chat:history", "2-1", "state", "{}", "at", "1", "by", "redis"),
        *("via", "redis", "lists", f"{name.decode()} +0 -0"),
    )
    assert rows(up.out("history", "chat"))[0].endswith("whitelist v2: unknown")
