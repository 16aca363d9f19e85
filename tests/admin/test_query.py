from __future__ import annotations

import pytest

from tests.admin.running import Running

CHAT = "/api/v1/routes/chat"
NOTHING = "is nothing that this call asks for"


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", f"{CHAT}/history?limit=3", f"'limit' {NOTHING}; it takes most."),
        ("GET", "/api/v1/routes?x", f"'x' {NOTHING}; it takes none."),
        ("DELETE", f"{CHAT}?dry_run=true", f"'dry_run' {NOTHING}; it takes why."),
        ("GET", f"{CHAT}/explain?unit=%ff%fe", "The query is not valid UTF-8 text."),
    ],
)
async def test_a_query_that_nobody_reads_is_refused(
    side: Running, method: str, path: str, told: str
) -> None:
    refused = await side.ask(method, path)
    assert (refused.status, refused.json["code"]) == (400, "bad_request")
    assert refused.json["detail"] == told
    assert (await side.ask("GET", CHAT)).status == 200, "nothing was done"


async def test_what_a_call_knows_is_taken(side: Running) -> None:
    for path in (
        *("history?most=3", "explain?unit=zo%C3%AB", "explain?header.x-plan=gold&path=/v1"),
        *("whitelist/v2?prefix=a", "numbers?seconds=5"),
    ):
        assert (await side.ask("GET", f"{CHAT}/{path}")).status == 200, path
    assert (await side.ask("HEAD", f"{CHAT}/history?most=3")).status == 200
    assert "workers_wanted" in (await side.ask("GET", "/readyz?verbose")).json
