"""Names become addresses, and stay so when the name server has a bad day."""

from __future__ import annotations

import asyncio
import logging
import random
import socket

import pytest

from gateway.upstream.resolve import Resolver
from tests.upstream.parts import draw, until


class Names:
    """A name server that says what the test wants; `gate` holds its answers back."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.error: Exception | None = None
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, host: str) -> list[str]:
        self.asked += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return list(self.addresses)


NOT_KNOWN = socket.gaierror(-2, "Name or service not known")


async def test_an_answer_is_used_for_30_seconds() -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    for now in (0.0, 1.0, 29.9):
        assert await resolver.addresses("model", now) == ["10.0.0.1"]
    assert names.asked == 1


async def test_then_it_is_renewed_beside_the_request() -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    await resolver.addresses("model", 0.0)
    names.addresses = ["10.0.0.2"]
    names.gate.clear()
    assert await resolver.addresses("model", 30.0) == ["10.0.0.1"], "nobody waits"
    await until(lambda: names.asked == 2)
    names.gate.set()
    await resolver.close()
    resolver = Resolver(draw, names)
    assert await resolver.addresses("model", 31.0) == ["10.0.0.2"]


async def test_an_answer_that_came_meanwhile_is_used() -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    await resolver.addresses("model", 0.0)
    names.addresses = ["10.0.0.2"]
    await resolver.addresses("model", 30.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await resolver.addresses("model", 31.0) == ["10.0.0.2"]
    assert names.asked == 2


async def test_after_60_seconds_the_request_waits_for_a_new_answer() -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    await resolver.addresses("model", 0.0)
    names.addresses = ["10.0.0.2"]
    assert await resolver.addresses("model", 60.0) == ["10.0.0.2"]


async def test_many_requests_share_one_lookup_and_one_that_gives_up_does_not_end_it() -> None:
    names = Names("10.0.0.1")
    names.gate.clear()
    resolver = Resolver(draw, names)
    asking = [asyncio.create_task(resolver.addresses("model", 0.0)) for _ in range(10)]
    await until(lambda: names.asked == 1)
    asking[0].cancel()
    names.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [["10.0.0.1"]] * 9
    assert names.asked == 1


async def test_a_lookup_that_hangs_is_not_asked_for_again() -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    await resolver.addresses("model", 0.0)
    names.gate.clear()
    for now in (30.0, 59.0):
        assert await resolver.addresses("model", now) == ["10.0.0.1"]
    waiting = asyncio.create_task(resolver.addresses("model", 95.0))
    await until(lambda: names.asked == 2)
    names.gate.set()
    await waiting
    assert names.asked == 2


async def test_the_last_good_addresses_outlive_the_name_server_and_one_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    await resolver.addresses("model", 0.0)
    names.error = NOT_KNOWN
    for now in (100.0, 200.0, 300.0):
        assert await resolver.addresses("model", now) == ["10.0.0.1"]
    assert names.asked == 4
    [line] = caplog.messages
    assert "model cannot be resolved" in line
    assert "last addresses" in line
    names.error = None
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for now in (400.0, 500.0):
            await resolver.addresses("model", now)
    assert caplog.messages == ["The name model is resolved again."]


@pytest.mark.parametrize("error", [NOT_KNOWN, UnicodeError("label too long"), None])
async def test_a_name_that_never_was_resolved_is_asked_for_again_after_5_seconds(
    error: Exception | None,
) -> None:
    names = Names()
    names.error = error
    resolver = Resolver(draw, names)
    for now in (0.0, 1.0, 4.9):
        with pytest.raises(OSError):
            await resolver.addresses("model", now)
    assert names.asked == 1
    names.error = None
    names.addresses = ["10.0.0.1"]
    assert await resolver.addresses("model", 5.0) == ["10.0.0.1"]


async def test_addresses_take_turns_and_families_alternate() -> None:
    names = Names("10.0.0.1", "10.0.0.2", "::1", "::2", "10.0.0.1")
    resolver = Resolver(random.Random(1).random, names)
    firsts = []
    for _ in range(8):
        found = await resolver.addresses("model", 0.0)
        assert sorted(found) == ["10.0.0.1", "10.0.0.2", "::1", "::2"]
        assert [":" in one for one in found] in ([True, False] * 2, [False, True] * 2)
        firsts.append(found[0])
    assert firsts[:4] == firsts[4:]
    assert len(set(firsts)) == 4


async def test_an_address_that_took_no_connection_comes_last_for_30_seconds() -> None:
    resolver = Resolver(draw, Names("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    await resolver.addresses("model", 0.0)
    resolver.shun("model", "10.0.0.2", 0.0)
    lasts = {(await resolver.addresses("model", 29.0))[-1] for _ in range(3)}
    assert lasts == {"10.0.0.2"}
    firsts = {(await resolver.addresses("model", 30.0))[0] for _ in range(3)}
    assert "10.0.0.2" in firsts
    resolver.shun("other", "10.0.0.2", 0.0)  # a name that was never asked for


async def test_names_that_nobody_asks_for_are_forgotten() -> None:
    names = Names("10.0.0.1")
    resolver = Resolver(draw, names)
    await resolver.addresses("model", 0.0)
    resolver.sweep(3600.0)
    assert repr(resolver) == "<Resolver 1 names, 0 of them with errors>"
    resolver.sweep(3600.1)
    assert repr(resolver) == "<Resolver 0 names, 0 of them with errors>"


async def test_closing_ends_lookups() -> None:
    names = Names("10.0.0.1")
    names.gate.clear()
    resolver = Resolver(draw, names)
    asking = asyncio.create_task(resolver.addresses("model", 0.0))
    await until(lambda: names.asked == 1)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_system_is_asked_unless_told_otherwise() -> None:
    found = await Resolver(draw).addresses("localhost", 0.0)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
