from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from click.testing import Result

from gateway.cli.exits import ExitCode
from tests.admin.running import plant, redis_settings
from tests.cli.live import Live, live
from tests.servers import Server

TOKEN = "correct horse"


@dataclass(frozen=True, slots=True)
class People:
    """Commands by whose token they are run with."""

    up: Live
    tokens: dict[str, str]

    def run(self, who: str, *words: str) -> Result:
        return self.up.run(*words, GRAYGATE_ADMIN__TOKEN=self.tokens[who])

    def waiting(self) -> list[str]:
        told = self.run("bob", "proposals", "list", "--json").stdout
        return [one["id"] for one in msgspec.json.decode(told)]


@pytest.fixture
def people(store: Server) -> Iterator[People]:
    plant(store)
    with live(redis_settings(store), token=TOKEN, four_eyes=True) as up:
        up.wait_revision(1)
        people = People(up, {"admin": TOKEN})
        for name, role in (("alice", "operator"), ("bob", "approver")):
            words = ("token", "create", name, "--role", role, "--json")
            made = msgspec.json.decode(people.run("admin", *words).stdout)
            people.tokens[name] = made["token"]
        yield people


def test_what_waits_is_said_with_its_own_exit_code_listed_and_written_for_another(
    people: People,
) -> None:
    assert people.run("bob", "proposals", "list").stdout == "Nothing waits for consent.\n"
    done = people.run("alice", "weights", "set", "chat", "v2=20", "--why", "fine")
    assert done.exit_code == ExitCode.WAITS
    [proposal] = people.waiting()
    assert done.stderr == (
        "graygate: Not done yet, it waits for the consent of another approver: proposal "
        f"{proposal} (v2 goes from 10 % to 20 %). They say: graygate proposals approve ID\n"
    )
    listed = people.run("bob", "proposals", "list").stdout
    assert listed.startswith(
        f'{proposal}  chat: v2 goes from 10 % to 20 % (by alice, "fine"; until '
    )
    own = people.run("alice", "proposals", "approve", proposal)
    assert own.exit_code == ExitCode.FAILED
    done = people.run("bob", "proposals", "approve", proposal, "--why", "agreed")
    assert (done.exit_code, done.stdout) == (0, f"{proposal} is written: revision 2.\n")
    history = people.run("bob", "history", "chat").stdout
    assert "alice" in history and "approved by bob (agreed)" in history


def test_what_is_refused_or_gone_is_told(people: People) -> None:
    people.run("alice", "weights", "set", "chat", "v2=20")
    [proposal] = people.waiting()
    done = people.run("bob", "proposals", "refuse", proposal, "--why", "not now")
    assert done.stdout == f"{proposal} is refused; nothing was written.\n"
    done = people.run("bob", "proposals", "approve", proposal)
    assert done.exit_code == ExitCode.FAILED
    assert "see: graygate proposals list" in done.stderr


def test_an_import_that_waits_says_so_as_well(people: People) -> None:
    done = people.up.run(
        "whitelist", "import", "chat", "v2", "-",
        stdin=b"alice\nbob\n", GRAYGATE_ADMIN__TOKEN=people.tokens["alice"],
    )  # fmt: skip
    assert done.exit_code == ExitCode.WAITS, done.output
    assert "2 ids come onto whitelist/v2" in done.stderr


def test_what_lowers_is_done_at_once(people: People) -> None:
    done = people.run("alice", "weights", "set", "chat", "v2=5")
    assert (done.exit_code, done.stderr) == (0, "")
