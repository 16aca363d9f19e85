"""Notices that are kept until they are sent."""

from __future__ import annotations

from gateway.release.conduct.outbox import MOST, Outgoing, encode, news_of, read_outbox, without
from gateway.release.machine.action import Notify, Record, Step
from tests.release.conduct.test_edits import STATUS

STEP = Step(STATUS, (Notify("started", "it begins", ("team",)), Record("x"), Notify("stage", "up")))


def test_every_notice_of_every_step_has_an_id_of_its_own() -> None:
    news = news_of(STEP, 3, 9.0)
    assert [(one.notice.id, one.notice.event, one.channels) for one in news] == [
        ("r1-3-0", "started", ("team",)),
        ("r1-3-2", "stage", ()),
    ]
    assert news[0].notice.text == "it begins"
    assert (news[0].notice.route, news[0].notice.stable, news[0].notice.at) == ("chat", "v1", 9.0)


def test_it_comes_back_as_it_was_stored() -> None:
    news = news_of(STEP, 3, 9.0)
    assert read_outbox(encode(news)) == news
    assert read_outbox(b"") == read_outbox(b"nonsense") == ()


def test_what_was_sent_goes_and_the_oldest_make_room() -> None:
    news = news_of(STEP, 3, 9.0)
    assert without(news, {"r1-3-0"}) == news[1:]
    many = tuple(Outgoing(news[0].notice) for _ in range(MOST + 5))
    assert len(without(many, ())) == MOST
