"""`graygate shadow` against a running gateway."""

from __future__ import annotations

import json

import pytest

from gateway.process.comparing import Comparer
from gateway.release.shadow.judged import Judged, Kind, Outcome, Setup
from tests.cli.live import Live
from tests.servers import Server

COMPARE = '{"kind": "label"}'


@pytest.fixture
def compared(up: Live, store: Server) -> Live:
    """The route compares v2 with v1; 30 of 300 answers differed, and 3 of stable's own 100."""
    before = up.side.store.snapshot.routes["chat"].revision
    store.execute("HSET", "gray:route:chat", "mirror", "v2", "compare", COMPARE)
    up.wait_revision(before + 1)
    shadows = up.side.shadows
    assert isinstance(shadows, Comparer)
    shadows.told(up.side.store.snapshot.routes["chat"].spec)
    setup = Setup("chat", "v2", "v1", COMPARE)
    for number in range(400):
        kind = Kind.CANDIDATE if number < 300 else Kind.SELF
        is_other = number < 30 or number >= 397
        judged = Judged(
            setup,
            kind,
            Outcome.DIFFERENT if is_other else Outcome.SAME,
            f"r{number}",
            "label" if is_other else "",
            "label" if is_other else "",
            0.1,
            {"label": "a\x1b[31m"},
            {"label": "b" if is_other else "a\x1b[31m"},
            ("one\x1b[2J", "two") if is_other else None,
        )
        shadows.book.note(judged, 1_000_000.0 + number)
    return up


def test_a_route_that_compares_nothing_says_how_to_begin(up: Live) -> None:
    told = up.out("shadow", "chat")
    assert told == (
        "chat: no answers are compared; begin with: "
        "graygate route set chat mirror=VERSION compare='{}'\n"
    )
    assert up.out("shadow", "chat", "--examples") == "chat: no answers that differ are kept.\n"


def test_rates_stand_beside_those_of_stable_with_itself(compared: Live) -> None:
    lines = compared.out("shadow", "chat").splitlines()
    assert lines[0].split() == [
        *("ANSWERS", "OF", "SAME", "DIFFERENT", "UNREADABLE", "AGREEMENT", "WHY", "DIFFERENT")
    ]
    assert lines[1].split() == ["v2", "with", "v1", "270", "30", "0", "90.0", "%", "label", "30"]
    assert lines[2].split() == ["v1", "with", "v1", "97", "3", "0", "97.0", "%", "label", "3"]
    assert "v2 differs 7.0 points oftener than v1 from itself." in lines
    told = json.loads(compared.out("shadow", "chat", "--json"))
    assert (told["compares"], told["excess"]) == (True, 0.07)


def test_examples_show_both_answers_and_move_no_terminal(compared: Live) -> None:
    told = compared.out("shadow", "chat", "--examples")
    assert told.startswith("r399: label at label\n  stable     one")
    assert "\x1b" not in told and "  v2         two" in told


def test_a_route_that_is_not_there_is_told(up: Live) -> None:
    done = up.run("shadow", "ghost")
    assert done.exit_code == 1 and "There is no route 'ghost' in force" in done.stderr
