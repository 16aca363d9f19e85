from __future__ import annotations

from tests.admin.running import Running
from tests.servers import Server

CHAT = "/api/v1/routes/chat"


async def test_lists_are_told_by_their_numbers_and_a_few_ids(side: Running) -> None:
    ids = [f"user-{number:03}" for number in range(100)]
    await side.ask("POST", f"{CHAT}/whitelist/v2", {"add": ids})
    await side.ask("POST", f"{CHAT}/whitelist/v2", {"remove": ids[:1], "add": ["zoe"]})
    await side.ask("PUT", f"{CHAT}/weights", {"weights": {"v2": 20}})
    told = await side.get(f"{CHAT}/diff?from=1&to=4")
    assert told["changes"] == [{"part": "weights", "field": "v2", "before": "10", "after": "20"}]
    gained = told["lists"]["route/chat/whitelist/v2"]
    assert (gained["gained"], gained["lost"], gained["is_exact"]) == (100, 1, True)
    assert gained["gained_sample"] == ids[1:21]
    back = await side.get(f"{CHAT}/diff?from=4&to=2")
    assert back["changes"][0]["after"] == "10"
    lists = back["lists"]["route/chat/whitelist/v2"]
    assert (lists["gained_sample"], lists["lost_sample"]) == (["user-000"], ["zoe"])
    assert (await side.get(f"{CHAT}/diff?from=3&to=3"))["lists"] == {}


async def test_what_cannot_be_compared_is_told(side: Running, store: Server) -> None:
    for weight in (20, 30, 40):
        await side.ask("PUT", f"{CHAT}/weights", {"weights": {"v2": weight}})
    store.cli("XDEL gray:route:chat:history 2-1")
    assert (await side.get(f"{CHAT}/diff?from=1&to=4"))["complete"] is False
    assert (await side.get(f"{CHAT}/diff?from=3&to=4"))["complete"] is True
    for query, status in (("", 400), ("from=1", 400), ("from=0&to=1", 400), ("from=1&to=2", 404),
                          ("from=1&to=99999999", 422)):  # fmt: skip
        assert (await side.ask("GET", f"{CHAT}/diff?{query}")).status == status, query
    # A revision that somebody wrote into.
    store.cli("XADD gray:route:chat:history 5-1 state nonsense at 1 print x")
    answer = await side.ask("GET", f"{CHAT}/diff?from=4&to=5")
    assert answer.json["detail"] == "Revision 5 of chat cannot be read; choose another."
