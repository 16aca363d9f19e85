"""A notice in words."""

from __future__ import annotations

import typing

import msgspec

from gateway.release.conduct.notify.notice import MOST_TEXT, TITLES, lines, title
from gateway.release.plan.plan import Event
from tests.release.conduct.notify.receivers import NOTICE


def test_every_event_of_a_plan_has_a_title() -> None:
    assert set(TITLES) == set(typing.get_args(Event))


def test_it_says_what_happened_when_and_where_to_look() -> None:
    assert title(NOTICE) == "ROLLED BACK: chat, v1 to v2"
    assert lines(NOTICE) == [
        "errors: 12 of 40 requests <failed> & more",
        "Release r1, 2023-11-14 22:13:20 UTC.",
        "graygate release status chat",
    ]


def test_an_event_that_is_not_known_is_told_by_its_name_and_a_long_text_is_cut() -> None:
    odd = msgspec.structs.replace(NOTICE, event="landed", text=" ")
    assert title(odd).startswith("landed: ")
    assert lines(odd)[0] == "landed"
    long = msgspec.structs.replace(NOTICE, text="x" * 9999)
    assert len(lines(long)[0]) == MOST_TEXT
