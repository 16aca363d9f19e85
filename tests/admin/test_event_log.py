from __future__ import annotations

import json

import pytest

from gateway.admin.event_log import KEPT, WAITING, Event, EventLog, Place, place_of


def test_an_event_looks_as_a_browser_wants_it() -> None:
    event = Event("refused", "chat", {"text": "line\nbreak"}, at_ms=7, id="7-log-1")
    head, _, data = event.encode().partition(b"data: ")
    assert head == b"id: 7-log-1\nevent: refused\n"
    assert data.endswith(b"\n\n")
    assert data.count(b"\n") == 2
    assert json.loads(data) == {"at_ms": 7, "route": "chat", "text": "line\nbreak"}
    assert Event("hello").encode() == b'event: hello\ndata: {"at_ms":0}\n\n'


async def test_every_listener_gets_every_event_in_order() -> None:
    log = EventLog("log")
    one, two = log.join(), log.join()
    for number in range(3):
        log.publish(Event("alarm", data={"n": number}), 1000 + number)
    assert [event.id for event in one.take()] == ["1000-log-1", "1001-log-2", "1002-log-3"]
    assert one.take() == []
    log.leave(one)
    log.publish(Event("alarm", at_ms=5), 2000)
    assert one.take() == []
    assert [event.at_ms for event in two.take()] == [1000, 1001, 1002, 5]
    assert repr(log) == "<EventLog at 4, 1 listeners>"


async def test_a_listener_that_takes_nothing_loses_its_place_and_costs_no_memory() -> None:
    log = EventLog("log")
    slow = log.join()
    for _ in range(WAITING):
        log.publish(Event("alarm"), 0)
    assert (slow.is_lost, len(slow.take())) == (False, WAITING)
    for _ in range(3 * WAITING):
        log.publish(Event("alarm"), 0)
    assert slow.is_lost
    assert slow.take() == []
    await slow.wait(60)  # returns at once: it must be told
    assert repr(slow) == "<Listener, 0 events behind>"


async def test_the_end_of_the_gateway_reaches_those_who_wait_and_those_who_come() -> None:
    log = EventLog("log")
    early = log.join()
    log.close()
    await early.wait(60)
    assert early.is_over
    assert log.join().is_over


async def test_waiting_ends_when_nothing_comes() -> None:
    listener = EventLog("log").join()
    await listener.wait(0.001)
    assert listener.take() == []


def test_who_comes_back_gets_what_was_missed_or_is_told_that_it_is_not_known() -> None:
    log = EventLog("log")
    for number in range(5):
        log.publish(Event("alarm", data={"n": number}), 100)
    missed = log.after("100-log-3")
    assert missed is not None
    assert [event.data["n"] for event in missed] == [3, 4]
    assert log.after("100-log-5") == []
    assert log.after("100-log-6") is None  # of a future that is not ours
    assert log.after("100-other-3") is None
    assert log.after("nonsense") is None
    for _ in range(KEPT):
        log.publish(Event("alarm"), 100)
    assert log.after("100-log-4") is None
    assert len(log.after("100-log-5") or ()) == KEPT


@pytest.mark.parametrize("text", ["", "1", "1-2", "a-b-c", "1-log-", "-log-1", "1-log-" + "9" * 99])
def test_what_is_no_id_of_an_event_has_no_place(text: str) -> None:
    assert place_of(text) is None


def test_an_id_says_when_and_whose() -> None:
    assert place_of("12-a-b-3") == Place(12, "a-b", 3)
    assert place_of("12--3") == Place(12, "", 3)
