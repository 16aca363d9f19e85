"""What a release has to tell arrives, though whoever wanted to send it died."""

from __future__ import annotations

import asyncio

from gateway.release.conduct.notify.notifier import Notifier
from gateway.release.conduct.outbox import read_outbox
from tests.release.conduct.conducting import Leader, leader
from tests.release.conduct.notify.receivers import channel, hooks, until
from tests.servers import Server


async def outbox(gateway: Leader) -> list[str]:
    record = await gateway.store.releases.read("chat")
    return [one.notice.event for one in read_outbox(record.outbox)]


async def test_what_a_dead_controller_did_not_send_the_next_one_sends_once(store: Server) -> None:
    async with leader(store) as gateway, hooks() as hook:
        # Its notifier does not run: as if it were killed after each write.
        silent = Leader(gateway.store, gateway.clock, notifier=Notifier([channel(hook)]))
        await silent.start()
        await silent.until("ramp")
        await silent.say("pause")
        assert await outbox(silent) == ["started", "paused"]
        notifier = Notifier([channel(hook)])
        successor = Leader(gateway.store, gateway.clock, notifier=notifier)
        sending = asyncio.create_task(notifier.run())
        try:
            await successor.second()
            await until(lambda: len(hook.got) == 2, "both arrive")
            for _ in range(3):
                await successor.second()
            assert [got.json["event"] for got in hook.got] == ["started", "paused"]
            assert len({got.headers["Idempotency-Key"] for got in hook.got}) == 2
            assert await outbox(successor) == []
        finally:
            sending.cancel()
            await asyncio.wait([sending])


async def test_a_plan_that_names_channels_tells_only_those(store: Server) -> None:
    async with leader(store) as gateway, hooks() as hook:
        both = [channel(hook), channel(hook, name="other", url=hook.url("/other"))]
        notifier = Notifier(both)
        one = Leader(gateway.store, gateway.clock, notifier=notifier)
        sending = asyncio.create_task(notifier.run())
        try:
            await one.start(notifications=[{"channel": "team", "on": ["paused"]}])
            await one.until("ramp")
            await one.say("pause")
            await until(lambda: hook.got, "it arrives")
            assert [(got.path, got.json["event"]) for got in hook.got] == [("/hook", "paused")]
        finally:
            sending.cancel()
            await asyncio.wait([sending])


async def test_a_channel_that_is_dead_holds_up_no_tick(store: Server) -> None:
    async with leader(store) as gateway, hooks() as hook:
        hook.hangs = True
        notifier = Notifier([channel(hook)], send_seconds=60)
        one = Leader(gateway.store, gateway.clock, notifier=notifier)
        sending = asyncio.create_task(notifier.run())
        try:
            await one.start()
            status = await one.until("promoted")
            assert status.phase == "promoted"
            assert len(await outbox(one)) == 6
        finally:
            sending.cancel()
            await asyncio.wait([sending])
