"""`graygate version` against a running gateway."""

from __future__ import annotations

import json

import pytest

from tests.cli.live import Live
from tests.servers import Server, wait_until

VERSIONS = "gray:route:chat:versions"


def test_a_version_is_added_changed_shown_and_listed(up: Live, store: Server) -> None:
    out = up.out(
        *("version", "add", "chat", "v4", "http://10.0.0.4:1", "http://10.0.0.5:1"),
        *("--model-id", "big", "--digest", "sha256:1f", "--score", "mmlu=0.5", "--note", "new"),
        *("--meta", "owner=search", "--rewrite-model", "big-2", "--why", "trained"),
    )
    assert out == "chat v4: added; revision 2.\n"
    entry = json.loads(store.cli(f"HGET {VERSIONS} v4"))
    created = entry.pop("created")
    assert created.endswith("+00:00")
    assert entry == {
        **{"urls": ["http://10.0.0.4:1", "http://10.0.0.5:1"], "rewrite_model": "big-2"},
        **{"model_id": "big", "digest": "sha256:1f", "scores": {"mmlu": 0.5}, "notes": "new"},
        "owner": "search",
    }
    up.wait_revision(2)
    out = up.out("version", "set", "chat", "v4", "http://10.0.0.6:1", "--meta", "owner=")
    assert out == "chat v4: changed; revision 3.\n"
    up.wait_revision(3)
    assert up.out("version", "set", "chat", "v4", "--note", "new") == (
        "chat v4: as before; revision 3 stays.\n"
    )
    assert up.out("version", "show", "chat", "v4") == (
        "state          active\n"
        "weight         0 %\n"
        "url            http://10.0.0.6:1\n"
        "rewrite_model  big-2\n"
        f"created        {created}\n"
        "digest         sha256:1f\n"
        "model_id       big\n"
        "notes          new\n"
        'scores         {"mmlu":0.5}\n'
    )
    assert up.out("version", "list", "chat").splitlines()[:2] == [
        "VERSION  STATE   WEIGHT  URLS               NOTES",
        "v1       stable  90 %    http://10.0.0.1:1",
    ]
    assert json.loads(up.out("version", "list", "chat", "--json"))["v4"]["meta"]["digest"]


def test_a_version_is_retired_brought_back_and_removed(up: Live, store: Server) -> None:
    assert up.out("version", "retire", "chat", "v3", "--why", "old") == (
        "chat v3: retired; revision 2.\n"
    )
    up.wait_revision(2)
    held = up.held()
    assert held is not None
    assert ("v3" in held.spec.versions, "v3" in held.spec.retired) == (False, True)
    assert "v3       retired" in up.out("version", "list", "chat")
    refused = up.run("weights", "set", "chat", "v3=1")
    assert refused.exit_code == 1
    assert "bring it back with: graygate version restore chat v3" in refused.stderr
    assert up.out("version", "restore", "chat", "v3") == "chat v3: brought back; revision 3.\n"
    assert store.cli(f"HGET {VERSIONS} v3") == "http://10.0.0.3:1"
    assert up.out("version", "remove", "chat", "v3", "--yes") == "chat v3: removed; revision 4.\n"
    assert store.cli(f"HEXISTS {VERSIONS} v3") == 0
    up.out("rollback", "chat", "--to", "1", "--yes")
    assert store.cli(f"HGET {VERSIONS} v3") == "http://10.0.0.3:1"


@pytest.mark.parametrize(
    ("by_hand", "used"),
    [
        ("PING", "it has a weight of 10 %"),
        ("SADD gray:route:chat:whitelist:v2 alice", "its whitelist holds 1 id"),
        ("HSET gray:route:chat mirror v2", "it gets copies of requests (mirror)"),
        ('RPUSH gray:route:chat:rules \'{"when": {}, "version": "v2"}\'', "rule 0 sends"),
        (
            'HSET gray:route:chat:release running 1 status \'{"candidate": "v2"}\'',
            "a release is running with it",
        ),
    ],
)
def test_what_is_in_use_stays(up: Live, store: Server, by_hand: str, used: str) -> None:
    store.cli(by_hand)
    for act in (["retire", "chat", "v2"], ["remove", "chat", "v2", "--yes"]):
        done = up.run("version", *act)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("graygate: v2 of chat is in use: ")
        assert used in done.stderr
    stable = up.run("version", "remove", "chat", "v1", "--yes")
    assert "v1 of chat is in use: it is stable" in stable.stderr
    assert store.cli(f"HGET {VERSIONS} v2") == "http://10.0.0.2:1"


def test_a_version_with_a_weight_of_nothing_may_go(up: Live, store: Server) -> None:
    up.out("weights", "set", "chat", "v2=0")
    wait_until(lambda: store.cli("HGET gray:route:chat:weights v2") == "0", "it is written")
    up.out("version", "remove", "chat", "v2", "--yes")
    assert store.cli("EXISTS gray:route:chat:weights") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["add", "chat", "v2", "http://10.0.0.2:1"], 1, "There is a version v2 already; change"),
        (["add", "chat", "v 2", "http://10.0.0.2:1"], 1, "'v 2' is no version name: use 1 to 64"),
        (["add", "chat", "v5"], 2, "Missing argument 'URL...'."),
        (["add", "chat", "v5", "file:///etc/passwd"], 1, "Refused, nothing was written: gray:rout"),
        (["add", "chat", "v5", "http://h", "--score", "a=b"], 2, "the score a is no number: 'b'"),
        (["add", "chat", "v5", "http://h", "--meta", "a"], 2, "'a' is no note: write NAME=TEXT"),
        (["add", "chat", "v5", "http://h", "--meta", "urls=x"], 1, "meta.urls: urls has a place"),
        (["add", "ghost", "v5", "http://h"], 1, "There is no route ghost in the store."),
        (["add", "chat", "v5", "http://h", "--revision", "7"], 4, "Route chat stands at revisio"),
        (["set", "chat", "v2"], 2, "name URLs, or a note to change with a flag"),
        (["set", "chat", "v9", "http://h"], 1, "'v9' is no version of this route. Known are: v1"),
        (["show", "chat", "v9"], 1, "'v9' is no version of this route."),
        (["list", "ghost"], 1, "There is no route 'ghost' in force;"),
        (["retire", "chat", "v9"], 1, "'v9' is no version of this route."),
        (["restore", "chat", "v9"], 1, "'v9' is no version of this route."),
        (["remove", "chat", "v3"], 2, "there is nobody to ask here; say --yes if you mean it"),
        (["remove", "chat", "v9", "--yes"], 1, "'v9' is no version of this route."),
        (["drop", "chat", "v9"], 2, "No such command 'drop'."),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("version", *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert done.stderr.startswith(f"graygate: {told}")
