from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gateway.admin.context import Rating, Taken
from gateway.errors import StoreUnavailable
from gateway.metrics.strata import EventCounts
from gateway.process import feedback
from gateway.process.channel import Answers
from gateway.process.feedback import FeedbackDesk
from gateway.process.strata import StrataSums
from gateway.proxy.answered import comer, rating_id
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.ratings import Ratings

NOW = 6_000_000.5


async def no_link() -> Link:
    raise StoreUnavailable("the store is away")


class Memory(Ratings):
    """Ratings without a store, which can be away."""

    def __init__(self) -> None:
        super().__init__(no_link, Keys())
        self.is_away = False
        self.known: dict[tuple[str, bytes], str] = {}
        self.rated: set[tuple[str, bytes, str]] = set()

    def _must_be_there(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the store is away")

    async def remember(self, now: float, answers: Mapping[str, Mapping[bytes, str]]) -> None:
        self._must_be_there()
        self.known |= {(r, one): v for r, ids in answers.items() for one, v in ids.items()}

    async def find(self, route: str, ids: Sequence[bytes], now: float) -> dict[bytes, str]:
        self._must_be_there()
        return {one: self.known[route, one] for one in ids if (route, one) in self.known}

    async def take(self, route: str, ratings: Sequence[tuple[bytes, str]]) -> list[bool]:
        self._must_be_there()
        found = []
        for one, family in ratings:
            found.append((route, one, family) not in self.rated)
            self.rated.add((route, one, family))
        return found


CAME = int(NOW) - 5000


class Desk(FeedbackDesk):
    """With its parts at hand."""

    def __init__(self) -> None:
        self.sums, self.memory = StrataSums(), Memory()
        super().__init__(self.sums, self.memory, wall=lambda: NOW)

    def events(self) -> list[EventCounts]:
        return [event for _, _, _, events in self.sums.take() for event in events]


def ids(*requests: str) -> bytes:
    return b"".join(rating_id(one.encode()) for one in requests)


def told(*entries: tuple[str, str, bytes], unit: int | None = None) -> Answers:
    """What a worker says; without a unit, what one of an older release says."""
    if unit is None:
        return Answers(entries=entries)
    known = (comer(unit, CAME) * (len(ids) // 8) for _, _, ids in entries)
    return Answers(entries=entries, units=tuple(known))


def good(request: str, family: str = "feedback", version: str = "") -> Rating:
    return Rating(request, is_bad=False, family=family, version=version)


def bad(request: str, family: str = "feedback", version: str = "") -> Rating:
    return Rating(request, is_bad=True, family=family, version=version)


async def test_ratings_are_joined_and_counted_once() -> None:
    desk = Desk()
    desk.answered(told(("chat", "v1", ids("a", "b")), ("chat", "v2", ids("c"))))
    await desk.write()
    taken = await desk.take("chat", [bad("a"), good("c"), good("x"), good("a")])
    assert taken == Taken(joined=2, unknown=1, repeated=1)
    second = int(NOW) + 1
    assert sorted((e.version, e.second, e.family, e.n, e.bad) for e in desk.events()) == [
        ("v1", second, "feedback", 1, 1),
        ("v2", second, "feedback", 1, 0),
    ]
    assert desk.totals == {("chat", "v1", "bad"): 1, ("chat", "v2", "good"): 1}


async def test_an_answer_is_found_before_it_is_written() -> None:
    desk = Desk()
    desk.memory.known["chat", rating_id(b"a")] = "v1"  # the id came before
    desk.answered(told(("chat", "v2", ids("a"))))
    assert (await desk.take("chat", [bad("a")])).joined == 1
    assert desk.totals == {("chat", "v2", "bad"): 1}


async def test_what_was_no_draw_of_the_weights_is_counted_but_not_compared() -> None:
    desk = Desk()
    desk.answered(told(("chat", "~v1", ids("a"))))
    assert (await desk.take("chat", [bad("a"), bad("b", version="v2")])).joined == 2
    assert desk.events() == []
    assert desk.totals == {("chat", "v1", "bad"): 1, ("chat", "v2", "bad"): 1}


async def test_what_is_known_counts_more_than_what_the_caller_believes() -> None:
    desk = Desk()
    desk.answered(told(("chat", "v1", ids("a"))))
    await desk.take("chat", [bad("a", version="v2")])
    assert desk.totals == {("chat", "v1", "bad"): 1}


async def test_ratings_of_known_units_are_told_with_them_also_from_the_store() -> None:
    desk = Desk()
    desk.answered(told(("chat", "v2", ids("a", "b")), unit=0xABC))
    desk.answered(told(("chat", "v2", ids("c")), unit=0))
    await desk.take("chat", [bad("a")])
    await desk.write()
    assert await desk.take("chat", [good("b"), bad("c")]) == Taken(joined=2, unknown=0, repeated=0)
    told_of, other = sorted(desk.events(), key=lambda event: event.second)
    assert (told_of.n, told_of.bad, told_of.rated) == (2, 1, [(0xABC, True), (0xABC, False)])
    assert told_of.second == CAME  # when the request came, however late it is rated
    assert (other.n, other.bad, other.rated, other.second) == (1, 1, [], int(NOW) + 1)
    assert desk.totals == {("chat", "v2", "bad"): 2, ("chat", "v2", "good"): 1}


async def test_ratings_have_a_family_of_their_own() -> None:
    desk = Desk()
    desk.answered(told(("chat", "v1", ids("a"))))
    taken = await desk.take("chat", [bad("a"), bad("a", "helpful")])
    assert taken.joined == 2
    assert sorted(event.family for event in desk.events()) == ["feedback", "helpful"]


async def test_answers_wait_for_the_store_and_the_oldest_make_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feedback, "MOST_WAITING", 4)
    desk = Desk()
    desk.memory.is_away = True
    for number in range(3):
        desk.answered(told(("chat", "v1", ids(f"a{number}", f"b{number}"))))
        await desk.write()
    assert (desk.lost, repr(desk)) == (2, "<FeedbackDesk: 4 ids wait for the store>")
    assert caplog.messages == ["Answers that may be rated wait for the store: the store is away"]
    with pytest.raises(StoreUnavailable):
        await desk.take("chat", [bad("a0")])
    desk.memory.is_away = False
    await desk.write()
    assert {one for _, one in desk.memory.known} == {
        rating_id(name) for name in (b"a1", b"b1", b"a2", b"b2")
    }
    assert repr(desk) == "<FeedbackDesk: 0 ids wait for the store>"
