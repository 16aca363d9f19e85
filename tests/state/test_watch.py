"""What an operator types in redis-cli is in force at once, and nonsense changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Set

import pytest

from gateway.config.secret import Secret
from gateway.state.link import Link
from gateway.state.status import Mode
from gateway.state.watch import LOOKED_AT_ONCE, Lists, Names
from tests.servers import Server, Valkey
from tests.state.following import (
    eventually,
    following,
    leading,
    loaded,
    members,
    never,
    reasons,
    seed,
    spec,
    weighs,
    weight,
)

V2 = "route/chat/whitelist/v2"


async def test_a_hand_made_weight_is_in_force_without_waiting_for_the_poll(
    any_server: Server,
) -> None:
    seed(any_server)
    async with following(any_server, poll_seconds=60.0, heartbeat_seconds=60.0) as store:
        await loaded(store)
        assert store.status.mode is Mode.PUSH
        any_server.cli("HSET gray:route:chat:weights v2 25.5")
        await eventually(lambda: weight(store) == 25.5, "the new weight is in force")
        any_server.cli("DEL gray:route:chat:weights")
        await eventually(lambda: weight(store) is None, "everybody is back on stable")


async def test_every_kind_of_key_is_followed(store: Server) -> None:
    seed(store)
    async with following(store, poll_seconds=60.0) as followed:
        await loaded(followed)
        store.cli("SADD gray:route:chat:whitelist:v2 alice")
        await eventually(lambda: members(followed, V2) == {b"alice"}, "alice is on the whitelist")
        store.cli("SADD gray:route:chat:blacklist mallory")
        await eventually(
            lambda: members(followed, "route/chat/blacklist") == {b"mallory"}, "mallory is black"
        )
        store.cli('RPUSH gray:route:chat:rules \'{"when": {"segment": "beta"}, "version": "v2"}\'')
        await eventually(lambda: spec(followed).rules, "the rule is in force")
        store.cli("SADD gray:segment:beta bob")
        await eventually(
            lambda: members(followed, "segment/beta") == {b"bob"}, "bob is in the segment"
        )
        store.cli("HSET gray:route:chat dialect openai")
        await eventually(lambda: spec(followed).dialect == "openai", "the dialect changed")
        store.cli("HSET gray:route:chat:versions v3 http://127.0.0.1:9003")
        await eventually(lambda: "v3" in spec(followed).versions, "v3 is there")
        store.cli("HSET gray:route:chat:release id r1")
        await eventually(lambda: spec(followed).salt == "chat:r1", "the release gives the salt")


async def test_a_transaction_typed_by_hand_is_seen_whole(store: Server) -> None:
    seed(store)
    seen: list[tuple[bool, float | None]] = []
    async with following(store) as followed:
        await loaded(followed)
        followed.subscribe(
            lambda snapshot: seen.append(
                (
                    "v3" in snapshot.routes["chat"].spec.versions,
                    snapshot.routes["chat"].spec.weights.get("v3"),
                )
            )
        )
        for percent in range(1, 30):
            with store.client() as client, client.pipeline(transaction=True) as both:
                both.hset("gray:route:chat:versions", "v3", "http://127.0.0.1:9003")
                both.hset("gray:route:chat:weights", "v3", str(percent))
                both.execute()
            await weighs(followed, percent, "v3")
            with store.client() as client, client.pipeline(transaction=True) as both:
                both.hdel("gray:route:chat:weights", "v3")
                both.hdel("gray:route:chat:versions", "v3")
                both.execute()
            await eventually(lambda: "v3" not in spec(followed).versions, "v3 is gone")
        assert not followed.snapshot.refused
        assert all(there == (percent is not None) for there, percent in seen)
        assert not followed.status.rejected


async def test_a_new_route_and_a_route_taken_out_by_name_are_followed(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        store.cli("HSET gray:route:rank stable a")
        store.cli("HSET gray:route:rank:versions a http://127.0.0.1:9005")
        store.cli("SADD gray:routes rank")
        await eventually(lambda: "rank" in followed.snapshot.routes, "the new route is in force")
        store.cli("SREM gray:routes rank")
        await eventually(lambda: "rank" not in followed.snapshot.routes, "the route is gone")
        assert "chat" in followed.snapshot.routes
        assert not followed.snapshot.refused


async def test_K04_one_bad_route_holds_back_no_other(store: Server) -> None:
    seed(store, "SADD gray:routes rank", "HSET gray:route:rank stable a")
    store.cli("HSET gray:route:rank:versions a http://127.0.0.1:9005 b http://127.0.0.1:9006")
    async with following(store) as followed:
        await loaded(followed, "chat", "rank")
        store.cli("HSET gray:route:chat:weights v2 140")
        await eventually(
            lambda: reasons(followed) == [("gray:route:chat:weights", "bad_value")], "a refusal"
        )
        assert weight(followed) == 10
        store.cli("HSET gray:route:rank:weights b 5")
        await eventually(lambda: weight(followed, "b", "rank") == 5, "rank moved all the same")
        assert followed.status.rejected == {("chat", "bad_value"): 1}
        store.cli("HSET gray:route:chat:weights v2 14")
        await eventually(lambda: weight(followed) == 14, "the next good weight is taken over")
        assert not followed.snapshot.refused


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("gray:route:chat", "wrong_type"),
        ("gray:route:chat:versions", "wrong_type"),
        ("gray:route:chat:weights", "wrong_type"),
        ("gray:route:chat:rules", "wrong_type"),
        ("gray:route:chat:whitelist:v2", "wrong_type"),
        ("gray:route:chat:blacklist", "wrong_type"),
        ("gray:routes", "wrong_type"),
    ],
)
async def test_K04_garbage_in_any_key_keeps_the_last_good_form(
    store: Server, key: str, reason: str
) -> None:
    seed(store, "SADD gray:route:chat:whitelist:v2 alice")
    async with following(store) as followed:
        await loaded(followed)
        for garbage in (f"SET {key} garbage", f"ZADD {key} 1 x"):
            store.cli(f"DEL {key}")
            store.cli(garbage)
            await eventually(lambda: reasons(followed) == [(key, reason)], f"{key} is refused")
            assert weight(followed) == 10
            assert members(followed, V2) == {b"alice"}
            assert key in followed.snapshot.refused[0].text


async def test_K04_a_list_that_cannot_be_read_keeps_its_route_back_at_the_start(
    store: Server,
) -> None:
    seed(store, "SET gray:route:chat:blacklist garbage")
    async with following(store) as followed:
        await eventually(
            lambda: reasons(followed) == [("gray:route:chat:blacklist", "wrong_type")], "refused"
        )
        assert not followed.snapshot.routes
        store.cli("DEL gray:route:chat:blacklist")
        await loaded(followed)
        assert not followed.snapshot.refused


async def test_a_mistyped_key_shows_as_a_doubt_until_it_is_removed(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        store.cli("HSET gray:route:chat:wieghts v2 50")
        await eventually(lambda: followed.snapshot.warnings, "a doubt")
        [doubt] = followed.snapshot.warnings
        assert (doubt.key, doubt.reason) == ("gray:route:chat:wieghts", "unknown_key")
        assert "gray:route:chat:weights" in doubt.text
        assert weight(followed) == 10
        store.cli("DEL gray:route:chat:wieghts")
        await eventually(lambda: not followed.snapshot.warnings, "the doubt is over")


async def test_other_keys_of_a_shared_store_do_not_matter(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await eventually(
            lambda: followed.snapshot.routes and followed.snapshot.routes["chat"].revision == 1,
            "loaded and recorded",
        )
        attempts = followed.snapshot.sequence
        store.cli("HSET other:thing a b")
        store.cli("SET grayish x")
        await never(lambda: followed.snapshot.sequence != attempts, "a new table", 0.3)
        assert not followed.snapshot.warnings


async def test_a_store_that_may_not_push_is_looked_at(fresh_valkey: Server) -> None:
    fresh_valkey.cli("ACL SETUSER gw on >secret ~gray:* &* +@all -client|tracking")
    seed(fresh_valkey)
    async with following(
        fresh_valkey, username="gw", password=Secret("secret"), poll_seconds=0.05
    ) as store:
        await loaded(store)
        assert store.status.mode is Mode.POLL
        assert "tracking" in store.status.why_poll
        fresh_valkey.cli("HSET gray:route:chat:weights v2 33")
        await eventually(lambda: weight(store) == 33, "the weight was found by looking")
        fresh_valkey.cli("SADD gray:route:chat:whitelist:v2 alice")
        await eventually(lambda: members(store, V2) == {b"alice"}, "alice was found by looking")
        fresh_valkey.cli("SMOVE gray:route:chat:whitelist:v2 gray:route:chat:blacklist alice")
        fresh_valkey.cli("SADD gray:route:chat:whitelist:v2 bob")
        await eventually(lambda: members(store, V2) == {b"bob"}, "a swap of ids was found")


async def test_tracking_can_be_switched_off(store: Server) -> None:
    seed(store)
    async with following(store, tracking=False, poll_seconds=0.05) as followed:
        await loaded(followed)
        assert followed.status.mode is Mode.POLL
        store.cli("HSET gray:route:chat:weights v2 44")
        await eventually(lambda: weight(followed) == 44, "the weight was found by looking")


async def test_a_swapped_database_is_found_by_the_poll(fresh_valkey: Server) -> None:
    seed(fresh_valkey)
    for line in ("HSET gray:route:chat stable v1", "SADD gray:routes chat",
                 "HSET gray:route:chat:versions v1 http://127.0.0.1:9001 v2 http://127.0.0.1:9002",
                 "HSET gray:route:chat:weights v2 77"):  # fmt: skip
        fresh_valkey.cli(line, db=1)
    async with following(fresh_valkey) as store:
        await loaded(store)
        fresh_valkey.cli("SWAPDB 0 1")
        await eventually(lambda: weight(store) == 77, "the other database is in force")


async def test_what_is_told_does_not_wait_for_the_look_at_a_thousand_routes(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [f"other{number:03d}" for number in range(3 * LOOKED_AT_ONCE)]
    for name in others:
        store.cli(f"HSET gray:route:{name} stable v1 path /{name}")
        store.cli(f"HSET gray:route:{name}:versions v1 http://127.0.0.1:9001")
    seed(store, f"SADD gray:routes {' '.join(others)}")
    async with following(store, poll_seconds=0.1) as followed:
        await eventually(lambda: len(followed.snapshot.routes) > len(others), "all are known")
        watch = followed._watch
        read, portions = watch._read, list[Set[str]]()

        async def told_meanwhile(
            link: Link, routes: Set[str], lists: Lists, names: Names | None = None
        ) -> None:
            if len(routes) == LOOKED_AT_ONCE and not portions:  # the first of a look
                store.cli("HSET gray:route:chat:weights v2 55")
                await asyncio.wait_for(watch._woken.wait(), 10)
                portions.append(routes)
            elif portions:
                portions.append(routes)
            await read(link, routes, lists, names)

        monkeypatch.setattr(watch, "_read", told_meanwhile)
        await eventually(lambda: {"chat"} in portions, "the weight was read")
        assert portions[1] == {"chat"}
        await eventually(lambda: weight(followed) == 55, "the weight is in force")
        await eventually(
            lambda: set().union(*portions[2:], portions[0]) == {"chat", *others}, "the look went on"
        )


async def test_two_prefixes_in_one_store_do_not_see_each_other(store: Server) -> None:
    seed(store)
    async with following(store, prefix="other:") as followed:
        await eventually(lambda: followed.status.is_connected, "connected")
        store.cli("HSET gray:route:chat:weights v2 20")
        await never(lambda: followed.snapshot.routes, "routes of another prefix", 0.2)


async def test_a_hand_made_edit_is_recorded_once_by_the_leader(store: Server) -> None:
    seed(store)
    async with following(store, own_id="a") as first:
        await leading(first)
        async with following(store, own_id="b") as second:
            await loaded(second)
            await eventually(lambda: second.snapshot.routes["chat"].revision == 1, "recorded")
            store.cli("HSET gray:route:chat:weights v2 20")
            await eventually(
                lambda: all(s.snapshot.routes["chat"].revision == 2 for s in (first, second)),
                "both stand at the recorded revision",
            )
            assert not second.leader.term
            [(_, pairs)] = store.cli("XREVRANGE gray:route:chat:history + - COUNT 1")
            assert (pairs["by"], pairs["via"]) == ("redis", "redis")
            assert '"v2":"20"' in pairs["state"]
            await never(lambda: first.snapshot.routes["chat"].revision != 2, "a second entry", 0.3)


async def test_a_server_with_a_password_is_followed_and_a_wrong_one_is_said_without_it() -> None:
    with Valkey(password="hunter2-secret") as server:
        seed(server)
        async with following(server, password=Secret("hunter2-secret")) as store:
            await loaded(store)
        async with following(server, password=Secret("hunter3-wrong")) as store:
            await eventually(lambda: store.status.error, "an error")
            assert "password" in store.status.error
            assert "hunter" not in store.status.error


async def test_a_refusal_of_a_route_that_left_while_the_names_were_unreadable_is_over(
    store: Server,
) -> None:
    seed(store, "SADD gray:routes empty")
    async with following(store) as followed:
        await loaded(followed)
        assert reasons(followed) == [("gray:route:empty", "missing")]
        store.cli("SET gray:routes oops")
        await eventually(
            lambda: ("gray:routes", "wrong_type") in reasons(followed), "the names are refused"
        )
        store.cli("DEL gray:routes")
        store.cli("SADD gray:routes chat")
        await eventually(lambda: not reasons(followed), "nothing is refused any more")
