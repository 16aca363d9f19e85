"""Which requests a worker tells of, so that their answers can be rated."""

from __future__ import annotations

import math
import time

import pytest

from gateway.proxy import answered
from gateway.proxy.answered import ID_BYTES, UNIT_BYTES, rating_id, read_comer
from gateway.routing.spec import VersionSpec
from tests.proxy.side import Side, closed_port


def two(side: Side, **changes: object) -> None:
    versions = {
        "v1": VersionSpec(urls=(side.model.url,)),
        "v2": VersionSpec(urls=(side.model.url,)),
    }
    side.use(side.spec(**{"versions": versions, **changes}))


def told(side: Side) -> dict[tuple[str, str], int]:
    """How many ids of each route and version there are."""
    return {(r, v): len(ids) // ID_BYTES for r, v, ids, _ in side.plane.answered.take()}


async def test_a_route_that_wants_no_ratings_is_not_told_of(side: Side) -> None:
    two(side, weights={"v2": 100.0})
    await side.ask()
    assert side.plane.answered.take() == ()


async def test_an_answer_is_told_with_its_version_by_the_id_that_the_client_sees(
    side: Side,
) -> None:
    two(side, feedback=100.0, weights={"v2": 100.0})
    own = (await side.ask()).one("x-request-id")
    foreign = await side.once(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine-1\r\n\r\n")
    assert foreign.one("x-request-id") == "mine-1" and own
    ids = rating_id(own.encode()) + rating_id(b"mine-1")
    [(*told, units)] = side.plane.answered.take()
    assert told == ["chat", "v2", ids]
    assert [unit for unit, _ in comers(units)] == [0, 0]
    assert side.plane.answered.take() == ()


async def test_an_answer_is_told_with_its_unit_which_nobody_can_read(side: Side) -> None:
    two(side, feedback=100.0, weights={"v2": 100.0}, unit=("header:x-user",))
    for user in (b"ann", b"bob", b"ann"):
        await side.once(b"GET / HTTP/1.1\r\nHost: a\r\nX-User: %b\r\n\r\n" % user)
    [(_, _, _, units)] = side.plane.answered.take()
    (first, _), (second, _), (third, _) = comers(units)
    assert first == third and first != second and 0 not in (first, second)
    assert b"ann" not in units


async def test_an_answer_is_told_with_the_second_in_which_its_version_was_drawn(side: Side) -> None:
    two(side, feedback=100.0, weights={"v2": 100.0}, unit=("header:x-user",))
    before = math.floor(time.time()) - 1  # the two clocks may tick a little apart
    await side.once(b"GET / HTTP/1.1\r\nHost: a\r\nX-User: ann\r\n\r\n")
    [(_, _, _, units)] = side.plane.answered.take()
    [(_, second)] = comers(units)
    assert before <= second <= math.floor(time.time()) + 1


def comers(told: bytes) -> list[tuple[int, int]]:
    return [read_comer(told[at : at + UNIT_BYTES]) for at in range(0, len(told), UNIT_BYTES)]


async def test_a_share_is_remembered(side: Side) -> None:
    two(side, feedback=50.0, weights={"v2": 100.0})
    for _ in range(60):
        await side.ask()
    [count] = told(side).values()
    assert 10 < count < 50  # less likely than one in a million


async def test_what_failed_is_not_rated(side: Side) -> None:
    down = VersionSpec(urls=(f"http://127.0.0.1:{closed_port()}",))
    versions = {"v1": down, "v2": down}
    side.use(side.spec(versions=versions, feedback=100.0, retries=0))
    assert (await side.ask()).status >= 500
    assert told(side) == {}


async def test_a_failover_is_stables_and_no_draw(side: Side) -> None:
    down = VersionSpec(urls=(f"http://127.0.0.1:{closed_port()}",))
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": down}
    side.use(side.spec(versions=versions, feedback=100.0, retries=0, weights={"v2": 100.0}))
    assert (await side.ask()).one("x-graygate-reason") == "failover"
    assert told(side) == {("chat", "~v1"): 1}


async def test_there_is_a_bound(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "MOST_IDS", 2)
    two(side, feedback=100.0)
    for _ in range(5):
        await side.ask()
    assert repr(side.plane.answered) == "<Answered: 2 to tell of>"
    assert (told(side), side.plane.answered.dropped) == ({("chat", "v1"): 2}, 3)
    await side.ask()
    assert told(side) == {("chat", "v1"): 1}
