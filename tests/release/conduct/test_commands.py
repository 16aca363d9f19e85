"""Commands as they lie in the store."""

from __future__ import annotations

import msgspec
import pytest

from gateway.release.conduct.commands import MOST_CHARACTERS, VERBS, read_commands
from gateway.release.machine.phase import MAY_SAY
from gateway.release.machine.status import Command


def test_every_verb_of_the_machine_can_be_typed() -> None:
    assert set(VERBS) == set(MAY_SAY)
    commands, wrong = read_commands([verb.encode() + b"\n" for verb in VERBS], 5.0, 7)
    assert [(c.verb, c.by, c.at) for c in commands] == [(verb, "redis", 5.0) for verb in VERBS]
    assert len({c.key for c in commands}) == len(VERBS)
    assert not wrong


def test_a_word_that_is_read_again_is_the_same_command() -> None:
    (first,), _ = read_commands([b"pause"], 5.0, 7)
    (again,), _ = read_commands([b"pause"], 6.0, 7)
    (later,), _ = read_commands([b"pause"], 6.0, 8)
    assert first.key == again.key != later.key


def test_what_the_api_writes_comes_back() -> None:
    command = Command(verb="approve", by="alice", at=1.0, why="x", about="promote:1", id="a")
    assert read_commands([msgspec.json.encode(command)], 5.0, 7) == ([command], [])


@pytest.mark.parametrize("raw", [b"pasue", b"\xff\xfe", b"{}", b'{"verb":"fly"}', b"[" * 5000, b""])
def test_what_cannot_be_understood_is_told_and_passed_over(raw: bytes) -> None:
    commands, (said,) = read_commands([raw, b"pause"], 5.0, 7)
    assert [c.verb for c in commands] == ["pause"]
    assert "is no command; there are: approve" in said


def test_what_is_pushed_by_hand_is_cut_to_what_decisions_can_hold() -> None:
    long = Command(verb="pause", by="b" * 999, at=1.0, why="w" * 999, about="a" * 999, id="i" * 999)
    (command,), _ = read_commands([msgspec.json.encode(long)], 5.0, 7)
    lengths = {name: len(getattr(command, name)) for name in MOST_CHARACTERS}
    assert lengths == MOST_CHARACTERS
