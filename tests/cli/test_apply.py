"""`graygate apply` against a running gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.live import Live
from tests.servers import Server

SAMPLE = Path(__file__).parents[2] / "config" / "routes.toml"
FILE = """
[routes.chat]
path = "/v1"
failover = false
[routes.chat.versions]
v3 = "http://10.0.0.3:1"
[[routes.chat.rules]]
when = { header = { x-plan = "gold" } }
version = "v2"
[routes.rank]
stable = "v1"
path = "/rank"
versions.v1 = ["http://10.0.0.4:1", "http://10.0.0.5:1"]
"""


@pytest.fixture
def routes(empty_folder: Path) -> Path:
    (empty_folder / "config").mkdir()
    file = empty_folder / "config" / "routes.toml"
    file.write_text(FILE)
    return file


def test_a_dry_run_tells_and_writes_nothing(up: Live, store: Server, routes: Path) -> None:
    done = up.run("apply", "--dry-run", "--exit-code")
    assert (done.exit_code, done.stderr) == (5, "")
    assert done.stdout == (
        "~ chat (revision 1)\n"
        "  + failover: 0\n"
        "  + path: /v1\n"
        '  + rule 0: {"when":{"header":{"x-plan":"gold"}},"version":"v2"}\n'
        "+ rank (new)\n"
        "  + path: /rank\n"
        "  + stable: v1\n"
        "  + version v1: http://10.0.0.4:1 http://10.0.0.5:1\n"
        "2 routes would change, 0 as before.\n"
    )
    assert store.cli("XLEN gray:route:chat:history") == 1
    assert store.cli("EXISTS gray:route:rank") == 0
    assert up.run("apply", "--dry-run").exit_code == 0


def test_a_file_is_applied_once_and_then_changes_nothing(
    up: Live, store: Server, routes: Path
) -> None:
    assert up.out("apply", "--why", "from git").endswith("2 routes changed, 0 as before.\n")
    up.wait_revision(2)
    up.wait_revision(1, "rank")
    assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
    newest = json.loads(up.out("history", "chat", "--json"))[0]
    assert (newest["revision"], newest["why"], newest["via"]) == (2, "from git", "cli")
    again = up.run("apply", "--exit-code")
    assert (again.exit_code, again.stdout) == (0, "0 routes changed, 2 as before.\n")
    # What means the same was typed otherwise by hand: that is no change either.
    store.cli("HSET gray:route:chat failover no")
    up.wait_revision(3)
    assert up.out("apply") == "0 routes changed, 2 as before.\n"
    assert store.cli("XLEN gray:route:chat:history") == 3


def test_weights_are_touched_only_where_they_are_named(
    up: Live, store: Server, routes: Path
) -> None:
    routes.write_text("[routes.chat.weights]\nv3 = 2.5\n")
    assert "  - weight v2: 10\n  + weight v3: 2.5\n" in up.out("apply")
    assert store.cli("HGETALL gray:route:chat:weights") == {"v3": "2.5"}


def test_pruning_takes_away_what_is_left_out_but_nothing_that_moves(
    up: Live, store: Server, routes: Path
) -> None:
    up.out("apply")
    store.cli("HSET gray:route:chat paused 1 dialect openai")
    up.wait_revision(3)
    routes.write_text(
        '[routes.chat]\npath = "/v2"\n[routes.chat.versions]\n'
        'v1 = "http://10.0.0.1:1"\nv2 = "http://10.0.0.2:1"\n'
    )
    assert up.run("apply", "--prune").exit_code == 2
    out = up.out("apply", "--prune", "--yes")
    assert "  - dialect: openai\n" in out
    assert "  - version v3: http://10.0.0.3:1\n" in out
    assert "- rank (goes)\n" in out
    assert store.cli("HGETALL gray:route:chat") == {"stable": "v1", "path": "/v2", "paused": "1"}
    assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
    assert store.cli("SMEMBERS gray:routes") in ({"chat"}, ["chat"])


def test_what_is_in_use_is_not_pruned(up: Live, store: Server, routes: Path) -> None:
    store.cli("SADD gray:route:chat:whitelist:v3 alice")
    routes.write_text(
        '[routes.chat.versions]\nv1 = "http://10.0.0.1:1"\nv2 = "http://10.0.0.2:1"\n'
    )
    done = up.run("apply", "--prune", "--yes")
    assert done.exit_code == 2
    assert done.stderr == (
        "graygate: config/routes.toml: routes.chat.versions: v3 of chat is in use: "
        "its whitelist holds 1 id.\n"
    )


def test_everything_that_is_wrong_is_told_at_once_with_its_place(
    up: Live, store: Server, routes: Path
) -> None:
    routes.write_text(
        "[routes.chat]\n"
        'dialekt = "openai"\n'
        "timeout_idle = -1\n"
        'stable = ["v1", 2]\n'
        'versions.v2 = "ftp://10.0.0.1"\n'
        "weights.v9 = true\n"
        "rules = [3]\n"
        '[routes.rank]\npath = "rank"\nstable = "v1"\n'
        '[routes."a b"]\n'
    )
    done = up.run("apply")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"graygate: config/routes.toml: routes.{line}"
        for line in (
            "chat.dialekt: is no field of a route; did you mean dialect?",
            "chat.stable: takes a text, a number, true, false, or a list of texts",
            "chat.weights.v9: must be a percent from 0 to 100",
            "chat.rules[0]: must be an object with when and version",
            "chat.versions.v2: version v2 has a URL that cannot be used: 'ftp://10.0.0.1' does "
            "not begin with http://, https:// or http+unix://",
            "chat.timeout_idle: timeout_idle: '-1' is not a number of seconds above 0, at most "
            "86400",
            "rank.stable: stable is 'v1', which is not a valid entry of "
            "gray:route:rank:versions. There is none yet.",
            "rank.path: path: 'rank' is no path prefix: begin with /, without '//', dots, '?' "
            "or '#'",
            "a b: is no route name: use 1 to 64 ASCII letters, digits, '.', '_' or '-', beginning "
            "with a letter or digit",
        )
    ]
    assert store.cli("XLEN gray:route:chat:history") == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[routes.chat\n", "config/routes.toml line 1: is not valid TOML:"),
        (b"\n\xff\n", "config/routes.toml line 2: is not valid UTF-8"),
        (b"[route.chat]\n", "config/routes.toml: route: is nothing that a file of routes holds; d"),
        (b"routes = 3\n", "config/routes.toml: routes: must be tables such as [routes.chat]"),
        (b"routes.chat = 3\n", "config/routes.toml: routes.chat: must be a table of fields"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    up: Live, routes: Path, content: bytes, told: str
) -> None:
    routes.write_bytes(content)
    done = up.run("apply")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"graygate: {told}")


def test_a_file_that_is_not_there_is_one_sentence(up: Live) -> None:
    done = up.run("apply", "-f", "nowhere.toml")
    assert (done.exit_code, done.stderr) == (
        2, "graygate: nowhere.toml: cannot be read: No such file or directory\n",
    )  # fmt: skip


def test_the_sample_is_applied_from_standard_input_and_json_tells_the_same(up: Live) -> None:
    done = up.run("apply", "-f", "-", "--json", stdin=SAMPLE.read_text())
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(one["route"], one["op"]) for one in told["routes"]] == [("embeddings", "create")]
    assert up.run("apply", "-f", str(SAMPLE)).stdout == "0 routes changed, 1 as before.\n"


def test_colours_are_for_terminals_only(up: Live, routes: Path) -> None:
    from click.testing import CliRunner

    from gateway.cli.entry import graygate

    def painted(**env: str) -> str:
        told = {"GRAYGATE_GATEWAY": up.url, **env}
        return CliRunner().invoke(graygate, ["apply", "--dry-run"], env=told, color=True).stdout

    assert "\x1b[32m  + path: /v1\x1b[0m\n" in painted()
    assert "\x1b" not in painted(NO_COLOR="1")
    assert "\x1b" not in up.out("apply", "--dry-run")
