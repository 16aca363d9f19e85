from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.secret import Secret
from gateway.errors import StoreError
from gateway.state.audit import WAITING, AuditTrail, Noted
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.tokens import Role
from gateway.state.url import Address
from tests.servers import HOST, Server
from tests.state.following import ME, eventually, following

README = Path(__file__).parents[2] / "README.md"
REFUSED = Noted("refused", "eve", "10.0.0.1", "PUT /x", "no", code="forbidden", status=403)


def rights() -> list[str]:
    """What the README says that the store's user needs."""
    line = re.search(r"ACL SETUSER graygate on >PASSWORD (.*?)```", README.read_text(), re.S)
    assert line
    return line[1].split()


async def test_A07_what_is_noted_while_the_store_is_away_is_written_when_it_is_back(
    fresh_valkey: Server,
) -> None:
    async with following(fresh_valkey) as store:
        await eventually(lambda: store.status.is_connected, "connected")
        fresh_valkey.kill()
        await eventually(lambda: not store.status.is_connected, "missed")
        store.audit.note(REFUSED)
        await eventually(lambda: store.audit.error, "it says that it cannot write")
        fresh_valkey.start()
        await eventually(lambda: not store.audit.error, "it writes again")
        [(entry_id, entry)] = fresh_valkey.cli("XRANGE gray:audit - +")
        assert (entry_id, entry["by"], entry["prev"]) == ("1-1", "eve", "")


async def test_A07_what_finds_no_room_is_counted() -> None:
    async def nowhere() -> Link:
        raise StoreError("away")

    trail = AuditTrail(nowhere, Keys())
    for _ in range(WAITING + 3):
        trail.note(REFUSED)
    assert trail.dropped == 3


async def test_an_audit_key_of_another_type_is_told_and_nothing_else_is_written(
    any_server: Server,
) -> None:
    any_server.cli("SET gray:audit x")
    async with following(any_server) as store:
        await eventually(lambda: store.status.is_connected, "connected")
        with pytest.raises(StoreError, match="DEL gray:audit"):
            await store.token_writer.create("ci", Role.VIEWER, ("*",), 0, ME)
        assert any_server.cli("EXISTS gray:tokens") == 0


async def test_A02_of_two_who_take_the_same_token_back_both_succeed_or_are_told(
    any_server: Server,
) -> None:
    async with following(any_server) as store:
        await eventually(lambda: store.status.is_connected, "connected")
        known, _ = await store.token_writer.create("ci", Role.VIEWER, ("*",), 0, ME)
        stale = store.tokens.entry(known.id)
        # Typed by hand, in another layout: it can be taken back all the same.
        any_server.execute("HSET", "gray:tokens", known.id, " " + stale.decode())
        assert not await store.audit.write(REFUSED, [(known.id, stale, b"")])
        assert any_server.cli("XLEN gray:audit") == 1
        assert await store.token_writer.revoke("ci", ME) == [known.id]
        assert not store.tokens.tokens[known.id].is_valid(0)


async def test_an_audit_whose_numbers_were_used_up_does_not_keep_tokens_alive(
    any_server: Server,
) -> None:
    async with following(any_server) as store:
        await eventually(lambda: store.status.is_connected, "connected")
        await store.token_writer.create("ci", Role.VIEWER, ("*",), 0, ME)
        any_server.cli(f"XADD gray:audit {2**53}-1 a b")
        assert len(await store.token_writer.revoke("ci", ME)) == 1
        assert [entry_id for entry_id, _ in any_server.cli("XRANGE gray:audit - +")] == ["1-1"]


async def test_A19_the_rights_in_the_readme_are_enough_for_tokens_and_audit(
    fresh_valkey: Server,
) -> None:
    fresh_valkey.execute("ACL", "SETUSER", "graygate", "on", ">secret", *rights())
    async with await Link.connect(
        Address(HOST, fresh_valkey.port), username="graygate", password=Secret("secret")
    ) as link:
        keys = Keys()

        async def same() -> Link:
            return link

        trail = AuditTrail(same, keys)
        assert await trail.write(REFUSED, [("0a1b2c3d", b"", b"{}")])
        assert await trail.write(REFUSED, [("0a1b2c3d", b"{}", b"")])
    assert fresh_valkey.cli("XLEN gray:audit") == 2
