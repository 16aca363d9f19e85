from __future__ import annotations

import re
from pathlib import Path

from gateway.config.secret import Secret
from gateway.config.settings import Redis
from gateway.state.address import open_link
from gateway.state.keys import Keys
from gateway.state.rights import ALL, Rights, acl_line, try_rights
from tests.servers import Server

STATE = Path(__file__).parents[2] / "gateway" / "state"


async def rights_of(store: Server, user: str) -> Rights:
    settings = Redis(url=store.url, username=user, password=Secret("secret"), timeout_seconds=5)
    async with await open_link(settings) as link:
        return await try_rights(link, Keys())


async def test_each_right_that_is_taken_away_is_named_and_given_back_by_the_line(
    fresh_valkey: Server,
) -> None:
    fresh_valkey.cli("SADD gray:routes chat")
    fresh_valkey.cli("ACL SETUSER gw on >secret resetchannels ~gray:* +@all")
    for missing in ALL:
        fresh_valkey.cli(f"ACL SETUSER gw -{missing.name}")
        found = await rights_of(fresh_valkey, "gw")
        assert [right.name for right in found.denied] == [missing.name]
        assert found.has_keys
        fresh_valkey.cli(acl_line("gw", found, "gray:"))
    assert (await rights_of(fresh_valkey, "gw")).denied == ()
    # Nothing was done to find out.
    assert fresh_valkey.cli("DBSIZE") == 1
    assert fresh_valkey.cli("SCARD gray:routes") == 1


async def test_keys_that_may_not_be_touched_are_told_apart_from_commands(
    fresh_valkey: Server,
) -> None:
    fresh_valkey.cli("ACL SETUSER gw on >secret ~other:* +@all")
    found = await rights_of(fresh_valkey, "gw")
    assert (found.denied, found.has_keys) == ((), False)
    assert acl_line("gw", found, "gray:") == "ACL SETUSER gw ~gray:*"


async def test_without_multi_nothing_is_known(fresh_valkey: Server) -> None:
    fresh_valkey.cli("ACL SETUSER gw on >secret ~gray:* +@all -multi")
    assert "multi" in (await rights_of(fresh_valkey, "gw")).why_unknown


def test_every_command_that_is_sent_is_among_the_rights() -> None:
    """By what stands in the sources; a command that they make up is not found."""
    sent = set()
    for file in STATE.glob("*.py"):
        text = file.read_text()
        sent |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", text))
        sent |= set(re.findall(r"call\(\s*\"([A-Z]+)\"", text))
    known = {right.name.partition("|")[0].upper() for right in ALL}
    logging_in = {"HELLO", "AUTH", "SELECT", "CLIENT", "SENTINEL", "MULTI", "EXEC"}
    assert sent - known - logging_in == set()
