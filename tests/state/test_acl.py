"""A-19: the store's user has the rights of the README and no others; what it lacks is named."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config.secret import Secret
from gateway.errors import StoreError
from gateway.state.history import Delta
from gateway.state.rights import ALL, FOLLOWING, PUSHES, RECORDING
from gateway.state.write import Author, Change
from tests.servers import Server
from tests.state.following import eventually, following
from tests.state.test_audit import rights

LOGGING_IN = {"hello", "client|setname", "multi", "exec"}
# What is needed by nobody before somebody asks for it, or only now and then.
ON_DEMAND = {
    *("hget", "hmget", "sscan", "srandmember", "sismember", "xinfo", "time", "hdel", "rpush"),
    *("srem", "eval", "xrevrange", "del", "sadd", "hset", "xrange"),
}
NOT_AT_START = ON_DEMAND | {"role", "ping"}  # what these two tell is not needed


def listed() -> set[str]:
    return {word.removeprefix("+") for word in rights() if word.startswith("+")}


def test_A19_the_readme_lists_what_is_sent_and_nothing_else() -> None:
    assert listed() == {right.name for right in ALL} | LOGGING_IN
    scope = [word for word in rights() if not word.startswith("+")]
    assert scope == ["resetchannels", "~gray:*"]
    dangerous = {"keys", "flushall", "flushdb", "config", "debug", "shutdown", "acl", "monitor"}
    assert not listed() & dangerous


async def said_without(store: Server, name: str) -> str:
    """Whatever a gateway says that lacks this right, until it names the command."""
    user = f"gw-{name.replace('|', '-')}"
    store.execute("ACL", "SETUSER", user, "on", ">secret", *rights(), f"-{name}")
    async with following(store, username=user, password=Secret("secret")) as one:

        def told() -> str:
            refused = [refusal.text for refusal in one.snapshot.refused]
            return f"{one.status.error} {one.status.why_poll} {one.leader.why_not} {refused}"

        try:
            await asyncio.wait_for(_try(one.writer.change), 5)
        except (StoreError, TimeoutError) as error:
            refusal = str(error)
        else:
            refusal = ""
        await eventually(
            lambda: name.split("|")[0] in f"{told()} {refusal}".lower(), f"{name} is named"
        )
        return f"{told()} {refusal}"


async def _try(change: object) -> None:
    assert callable(change)
    delta = Delta(frozenset([b"alice"]))
    await change("chat", Change(lists={"route/chat/whitelist/v2": delta}), Author("a", "api"))


NEEDED = [
    right.name
    for right in ALL
    if right.purpose in (FOLLOWING, RECORDING, PUSHES) and right.name not in NOT_AT_START
]


@pytest.mark.parametrize("name", [*NEEDED, "multi"])
async def test_A19_a_start_without_a_needed_right_names_it(store: Server, name: str) -> None:
    store.cli("HSET gray:route:chat:versions v1 http://10.0.0.1:1 v2 http://10.0.0.2:1")
    store.cli("HSET gray:route:chat stable v1")
    store.cli("SADD gray:routes chat")
    try:
        said = await said_without(store, name)
        assert "secret" not in said
        assert "Traceback" not in said
    finally:
        store.cli(f"ACL DELUSER gw-{name.replace('|', '-')}")


async def test_A19_the_password_is_in_no_argument_of_a_process_nor_told(store: Server) -> None:
    store.cli("ACL SETUSER gw on >canary-secret ~gray:* +@all")
    try:
        async with following(store, username="gw", password=Secret("canary-secret")) as one:
            await eventually(lambda: one.status.is_connected, "connected")
            assert "canary" not in repr(one.status) + repr(one)
    finally:
        store.cli("ACL DELUSER gw")
