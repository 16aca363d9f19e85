"""What the judge hears of requests, as a plane with real clients and models tells it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway.metrics.strata import CellCounts, bucket_of, merge
from gateway.proxy.view import stage_of
from gateway.routing.lists import whitelist_name
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from gateway.routing.table import Identity, compile_route
from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.message import Request, read_head
from tests.proxy.model import Model, ModelLink, Script
from tests.proxy.scripts import EVENTS, cut, silent
from tests.proxy.side import GET, Side, closed_port
from tests.proxy.test_upgrade import opened

ALL_TO_V2 = {"v2": 100.0}
FAILED = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
MISSING = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"


class Ear:
    """Hears what the plane tells, and keeps it."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._told: list[CellCounts] = []

    def sums(self, version: str) -> CellCounts:
        """All seconds of one version as one."""
        self._told += self._side.plane.strata.take(0)[0]
        of = [msgspec.structs.replace(cell, second=0) for cell in self._told]
        found = [cell for cell in merge(of) if cell.version == version]
        return found[0] if found else CellCounts(0, "chat", version)

    def counts(self, version: str) -> tuple[int, int, int, int]:
        """How many arrived, finished, were bad, and were the client's fault."""
        one = self.sums(version)
        return one.arrived, one.finished, one.bad, one.client_errors

    async def hears(self, version: str, *counts: int) -> CellCounts:
        await until(lambda: self.counts(version) == counts, f"{version} has {counts}")
        return self.sums(version)


@pytest.fixture
def ear(side: Side) -> Ear:
    return Ear(side)


def dead() -> str:
    return f"http://127.0.0.1:{closed_port()}"


def split(side: Side, *, v2: str = "", **changes: object) -> RouteSpec:
    """The route with v2 at another URL."""
    versions = {
        "v1": VersionSpec(urls=(side.model.url,)),
        "v2": VersionSpec(urls=(v2 or side.model.url,)),
    }
    return side.spec(versions=versions, **changes)


# Who is counted


async def test_who_is_drawn_by_weight_is_counted_and_so_is_the_rest(side: Side, ear: Ear) -> None:
    side.use(side.spec(weights={"v2": 50.0}))
    given = {"v1": 0, "v2": 0}
    for number in range(40):
        answer = await side.ask(x_user_id=f"user-{number}")
        given[str(answer.one("x-graygate-version"))] += 1
    assert min(given.values()) > 5
    for version, count in given.items():
        one = await ear.hears(version, count, count, 0, 0)
        assert one.units == count
        assert sum(one.total.values()) == sum(one.first_byte.values()) == count
        assert one.gap == {}


async def test_who_is_let_through_by_a_list_a_rule_or_an_override_is_no_sample(
    side: Side, ear: Ear
) -> None:
    rules = (
        RuleSpec(when={"header": {"x-tier": "beta"}}, version="v2"),
        RuleSpec(when={"header": {"x-tier": "some"}}, weights={"v2": 100.0}),
    )
    side.use(
        side.spec(weights={"v2": 10.0}, rules=rules),
        v2=frozenset({b"alice"}),
        blacklist=frozenset({b"bob"}),
    )
    await side.ask(x_user_id="alice")
    await side.ask(x_user_id="bob")
    await side.ask(x_tier="beta")
    await side.ask(x_tier="some")
    await until(lambda: sum(side.codes("v2").values()) == 3, "they are counted as answers")
    assert side.plane.strata.take(0) == ([], [], [])


async def test_a_route_with_one_version_tells_nothing(side: Side) -> None:
    side.use_urls(side.model.url)
    await side.ask(x_user_id="alice")
    assert side.plane.strata.take(0) == ([], [], [])


async def test_a_unit_that_nobody_knows_counts_as_none(side: Side, ear: Ear) -> None:
    await side.ask()
    one = await ear.hears("v1", 1, 1, 0, 0)
    assert one.units == 0


async def test_of_each_user_one_request_is_told_apart(side: Side, ear: Ear) -> None:
    side.use(split(side, weights=ALL_TO_V2))
    for user in ("ann", "ann", "bob"):
        await side.ask(x_user_id=user)
    one = await ear.hears("v2", 3, 3, 0, 0)
    assert len(one.first_units) == 2
    assert [unit for unit, *_ in one.first_times] == one.first_units
    for _, total, first_byte, gap in one.first_times:
        assert total in one.total and first_byte in one.first_byte and gap is None


async def test_who_meets_a_version_that_is_known_to_be_down_is_told_of_too(
    side: Side, ear: Ear
) -> None:
    side.use(split(side, v2=dead(), weights=ALL_TO_V2))
    for number in range(12):  # after some the version is known to be down, and no longer asked
        await side.ask(x_user_id=f"user-{number}")
    one = await ear.hears("v2", 12, 12, 12, 0)
    assert len(one.first_units) == len(one.first_times) == 12
    assert [None] * 3 in [times for _, *times in one.first_times]


async def test_a_new_share_deals_users_anew(side: Side) -> None:
    told = []
    for second, weight in ((60, 50.0), (100, 50.0), (140, 60.0), (180, 60.0)):
        side.use(split(side, weights={"v2": weight}))
        side.plane.strata.take(second)
        await side.ask(x_user_id="ann")
        cells = side.plane.strata.take(second)[0]
        told.append(sum(len(cell.first_units) for cell in cells))
    assert told == [1, 0, 1, 0]


# How it ended


async def test_a_5xx_is_bad_and_a_4xx_is_the_clients_affair(side: Side, ear: Ear) -> None:
    for answer in (FAILED, MISSING):
        side.model.answer = answer
        await side.ask(x_user_id="alice")
    one = await ear.hears("v1", 2, 2, 1, 1)
    assert (one.units, len(one.bad_units)) == (1, 1)


async def test_a_version_that_cannot_be_reached_is_charged_and_stable_hears_nothing(
    side: Side, ear: Ear
) -> None:
    side.use(split(side, v2=dead(), weights=ALL_TO_V2))
    # The endpoint is tried at first, and known to be down later: drawn is drawn.
    for number in range(12):
        assert (await side.ask(x_user_id=f"user-{number}")).one("x-graygate-version") == "v1"
    one = await ear.hears("v2", 12, 12, 12, 0)
    assert (one.units, len(one.bad_units)) == (12, 12)
    assert ear.counts("v1") == (0, 0, 0, 0)


async def test_stable_that_is_down_is_charged_where_the_candidate_helps_out(
    side: Side, ear: Ear
) -> None:
    versions = {"v1": VersionSpec(urls=(dead(),)), "v2": VersionSpec(urls=(side.model.url,))}
    side.use(side.spec(versions=versions, weights={"v2": 10.0}, spill_cap=100.0))
    given = [(await side.ask(x_user_id=f"user-{n}")).one("x-graygate-reason") for n in range(30)]
    drawn = given.count("weight")
    await ear.hears("v1", 30 - drawn, 30 - drawn, 30 - drawn, 0)
    await ear.hears("v2", drawn, drawn, 0, 0)


async def test_without_failover_the_failure_is_charged_once(side: Side, ear: Ear) -> None:
    side.use(split(side, v2=dead(), weights=ALL_TO_V2, failover=False))
    assert (await side.ask()).status == 502
    one = await ear.hears("v2", 1, 1, 1, 0)
    assert sum(one.total.values()) == 1


async def test_a_retry_that_succeeds_within_the_version_is_no_failure(
    start: Start, other: Model
) -> None:
    side = await start()
    ear = Ear(side)
    versions = {
        "v1": VersionSpec(urls=(dead(), other.url)),
        "v2": VersionSpec(urls=(side.model.url,)),
    }
    side.use(side.spec(versions=versions))
    for _ in range(10):
        assert (await side.ask()).status == 200
    one = await ear.hears("v1", 10, 10, 0, 0)
    assert one.half_finished == 10  # all of them by the second endpoint


async def test_an_endpoint_that_failed_answers_for_it_in_its_half(side: Side, ear: Ear) -> None:
    urls = (side.model.url, dead())
    versions = {"v1": VersionSpec(urls=urls), "v2": VersionSpec(urls=(side.model.url,))}
    side.use(side.spec(versions=versions, retries=0, failover=False))
    for _ in range(20):
        await side.ask()
    bad = side.errors()["connect"]
    one = await ear.hears("v1", 20, 20, bad, 0)
    assert (one.half_finished, one.half_bad) == (bad, bad)


@pytest.mark.parametrize("ending", Ending)
async def test_an_answer_that_breaks_off_is_bad(side: Side, ear: Ear, ending: Ending) -> None:
    side.model.answer = cut(EVENTS + b"4\r\npart\r\n", ending)
    client = await side.dial()
    client.send(GET)
    await client.to_end(None)
    await ear.hears("v1", 1, 1, 1, 0)


async def test_an_answer_that_takes_longer_than_the_route_allows_is_bad(
    side: Side, ear: Ear
) -> None:
    side.use(side.spec(timeouts={"total": 0.3}))
    side.model.answer = stream([b"4\r\npart\r\n"], pause=60.0)
    client = await side.dial()
    client.send(GET)
    await client.to_end(None)
    await ear.hears("v1", 1, 1, 1, 0)


async def test_a_request_that_hangs_has_arrived_until_the_client_goes(side: Side, ear: Ear) -> None:
    side.model.answer = silent
    client = await side.dial()
    client.send(GET)
    await ear.hears("v1", 1, 0, 0, 0)
    await until(lambda: len(side.model.requests) == 1, "the model has it")
    client.transport.abort()
    one = await ear.hears("v1", 1, 1, 0, 0)
    assert sum(one.total.values()) == 1  # it waited at least so long
    assert one.first_byte == {}


async def test_a_client_that_leaves_in_the_middle_of_an_answer_blames_nobody(
    side: Side, ear: Ear
) -> None:
    side.model.answer = stream([b"4\r\npart\r\n"], pause=60.0)
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    client.transport.abort()
    one = await ear.hears("v1", 1, 1, 0, 0)
    assert sum(one.first_byte.values()) == 1


async def test_a_body_that_cannot_be_read_is_the_clients_affair(side: Side, ear: Ear) -> None:
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await ear.hears("v1", 1, 0, 0, 0)
    client.send(b"no chunk\r\n")
    await client.to_end(None)
    await ear.hears("v1", 1, 1, 0, 1)


async def test_a_tunnel_is_over_for_the_judge_when_it_is_open(side: Side, ear: Ear) -> None:
    client = await opened(side)
    one = await ear.hears("v1", 1, 1, 0, 0)
    assert (one.total, sum(one.first_byte.values())) == ({}, 1)
    client.close()
    await until(lambda: side.in_flight() == 0, "it is closed")
    assert ear.counts("v1") == (1, 1, 0, 0)


# Streams


def stream(pieces: list[bytes], pause: float = 0.0, after_head: float = 0.0) -> Script:
    """An event stream, with a pause before each piece but the first."""

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS)
        if after_head:
            await asyncio.sleep(after_head)
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause)
            link.send(piece)
        if pause > 1:
            await link.when(lambda: link.ending is not None, "the gateway goes", None)
        else:
            link.send(b"0\r\n\r\n")

    return script


async def test_of_a_stream_one_pause_is_told_the_longest(side: Side, ear: Ear) -> None:
    side.model.answer = stream([b"1\r\na\r\n", b"1\r\nb\r\n"], pause=0.2)
    await side.ask()
    one = await ear.hears("v1", 1, 1, 0, 0)
    [(bucket, count)] = one.gap.items()
    assert count == 1
    assert bucket >= bucket_of(0.19)
    [total] = one.total
    assert total >= bucket


async def test_until_the_first_piece_a_stream_has_not_begun(side: Side, ear: Ear) -> None:
    side.model.answer = stream([b"1\r\na\r\n"], after_head=0.2)
    await side.ask()
    one = await ear.hears("v1", 1, 1, 0, 0)
    [bucket] = one.first_byte
    assert bucket >= bucket_of(0.19)
    assert one.gap == {}  # of one piece


# Stages


@pytest.mark.parametrize(
    ("changes", "is_another"),
    [
        ({"weights": {"v2": 10.2}}, False),
        ({"weights": {"v2": 14.0}}, True),
        ({"weights": {"v2": 7.0}}, True),
        ({"weights": {"v2": 100.0}}, True),
        ({"weights": {"v2": 10.0, "v3": 0.0}}, False),
        ({"retries": 3}, False),
        ({"weights": {}}, True),
        ({"weights": {"v2": 0.0}}, True),
        ({"weights": {"v2": 10.0, "v3": 1.0}}, True),
        ({"paused": True}, True),
        ({"salt": "chat:2"}, True),
    ],
)
def test_a_stage_lasts_while_the_same_candidates_have_about_the_same_weights(
    changes: dict[str, object], is_another: bool
) -> None:
    version = VersionSpec(urls=("http://127.0.0.1:1",))
    versions = dict.fromkeys(("v1", "v2", "v3"), version)
    spec = RouteSpec(name="chat", stable="v1", versions=versions, weights={"v2": 10.0}, salt="chat")
    before, after = (
        stage_of(compile_route(one, {whitelist_name("chat", "v2"): frozenset()}, Identity()))
        for one in (spec, msgspec.structs.replace(spec, **changes))
    )
    assert (before != after) == is_another


async def test_a_table_without_the_route_ends_its_cells_only_with_its_requests(
    side: Side, ear: Ear
) -> None:
    side.model.answer = silent
    client = await side.dial()
    client.send(GET)
    await ear.hears("v1", 1, 0, 0, 0)
    side.use()
    client.transport.abort()
    await ear.hears("v1", 1, 1, 0, 0)
