"""Ratings over the API, and who may give them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.process.channel import Answers
from gateway.proxy.answered import rating_id
from tests.admin.running import Running, plant, redis_settings, revision, running
from tests.servers import Server

PATH = "/api/v1/routes/chat/feedback"
TOKEN = "bootstrap-token-of-the-tests"


@pytest.fixture
async def side(store: Server) -> AsyncIterator[Running]:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        yield side


async def rate(side: Running, content: object, token: str = TOKEN) -> tuple[int, object]:
    answer = await side.ask("POST", PATH, content, authorization=f"Bearer {token}")
    return answer.status, answer.json


async def token_of(side: Running, role: str, routes: list[str]) -> str:
    content = {"name": f"a-{role}", "role": role, "routes": routes}
    made = await side.ask("POST", "/api/v1/tokens", content, authorization=f"Bearer {TOKEN}")
    assert made.status == 200, made
    return str(made.json["token"])


async def test_scores_labels_and_bits_mean_the_same(side: Running) -> None:
    assert side.feedback is not None
    ids = b"".join(rating_id(b"r%d" % number) for number in range(6))
    side.feedback.answered(Answers(entries=(("chat", "v2", ids),)))
    said: list[dict[str, object]] = [
        {"score": 0}, {"score": 0.5}, {"label": "up"}, {"label": "down"}, {"bad": True},
        {"bad": False},
    ]  # fmt: skip
    ratings = [{"request_id": f"r{number}", **one} for number, one in enumerate(said)]
    assert await rate(side, ratings) == (200, {"joined": 6, "unknown": 0, "repeated": 0})
    assert side.feedback.totals == {("chat", "v2", "bad"): 3, ("chat", "v2", "good"): 3}
    told = (await side.ask("GET", "/metrics", authorization=f"Bearer {TOKEN}")).body.decode()
    assert 'graygate_feedback_total{outcome="bad",route="chat",version="v2"} 3.0' in told


async def test_it_takes_an_operator_of_the_route(side: Running) -> None:
    rating = {"request_id": "r", "bad": True}
    operator = await token_of(side, "operator", ["chat"])
    assert (await rate(side, rating, operator))[0] == 200
    for role, routes in (("viewer", ["*"]), ("admin", ["rank"])):
        assert (await rate(side, rating, await token_of(side, role, routes)))[0] == 403


async def test_pieces_of_answers_are_shown_to_operators_only(side: Running) -> None:
    viewer = await token_of(side, "viewer", ["chat"])
    for path, status in (("shadow", 200), ("shadow/examples", 403)):
        answer = await side.ask(
            "GET", f"/api/v1/routes/chat/{path}", authorization=f"Bearer {viewer}"
        )
        assert answer.status == status
