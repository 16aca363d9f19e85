"""`graygate feedback` against a running gateway."""

from __future__ import annotations

import json

import pytest

from gateway.process.channel import Answers
from gateway.process.feedback import FeedbackDesk
from gateway.proxy.answered import rating_id
from tests.cli.live import Live


@pytest.fixture
def answered(up: Live) -> Live:
    """v2 has answered r1, r2 and r3."""
    desk = up.side.feedback
    assert isinstance(desk, FeedbackDesk)
    ids = b"".join(rating_id(name) for name in (b"r1", b"r2", b"r3"))
    up.loop.call_soon_threadsafe(desk.answered, Answers(entries=(("chat", "v2", ids),)))
    return up


def test_an_answer_is_rated_once(answered: Live) -> None:
    done = "chat: the answer to r1 has its rating.\n"
    assert answered.out("feedback", "chat", "r1", "--down") == done
    again = answered.run("feedback", "chat", "r1", "--up")
    assert again.stdout == "chat: the answer to r1 had its rating already.\n"
    answered.out("feedback", "chat", "r2", "--score", "0.5")
    answered.out("feedback", "chat", "r3", "--score", "0.49", "--name", "helpful")
    desk = answered.side.feedback
    assert desk is not None
    assert desk.totals == {("chat", "v2", "bad"): 2, ("chat", "v2", "good"): 1}
    told = json.loads(answered.out("feedback", "chat", "r1", "--up", "--json"))
    assert told == {"joined": 0, "unknown": 0, "repeated": 1}


def test_an_answer_that_nobody_remembers_is_told(answered: Live) -> None:
    done = answered.run("feedback", "chat", "r9", "--up")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "chat: nobody remembers an answer to r9" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say just one of --up, --down and --score"),
        (["--up", "--score", "1"], "say just one of --up, --down and --score"),
        (["--up", "--down"], "say just one of --up, --down and --score"),
        (["--score", "2"], "2.0 is not in the range 0<=x<=1"),
    ],
)
def test_a_rating_says_one_thing(answered: Live, arguments: list[str], told: str) -> None:
    done = answered.run("feedback", "chat", "r1", *arguments)
    assert done.exit_code == 2 and told in done.stderr


def test_a_name_of_the_judges_own_is_refused(answered: Live) -> None:
    done = answered.run("feedback", "chat", "r1", "--up", "--name", "errors")
    assert done.exit_code == 1 and "'errors' is no name for feedback" in done.stderr
