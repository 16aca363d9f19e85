"""What users think of answers, told by whoever built the page that they are shown on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.admin.calls import answer, body_as, held_route
from gateway.admin.context import CONTEXT, Rating
from gateway.admin.problem import BadBody
from gateway.errors import RefusedError
from gateway.state.keys import NAME_RULE, is_name

MOST_RATINGS = 1000  # in one call
USUAL_FAMILY = "feedback"
BAD_BELOW = 0.5  # of a score
# What the judge calls its own measurements: ratings must not pass for them.
RESERVED = frozenset({"errors", "latency", "shadow", "shadow_self", "client-errors"})


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """One rating; exactly one of score, label and bad."""

    request_id: Annotated[str, Meta(min_length=1, max_length=128)]
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    label: Literal["up", "down"] | None = None
    bad: bool | None = None
    name: str = USUAL_FAMILY
    version: str = ""


_GIVEN: Any = Feedback | list[Feedback]


async def give(request: web.Request) -> web.Response:
    """One rating or a list; answers how many were joined, unknown, repeated."""
    given: Feedback | list[Feedback] = await body_as(request, _GIVEN)
    held = held_route(request)
    listed = given if isinstance(given, list) else [given]
    if not 1 <= len(listed) <= MOST_RATINGS:
        raise BadBody(f"A call takes 1 to {MOST_RATINGS} ratings; there are {len(listed)}.")
    ratings = [_rating(one, held.spec.versions) for one in listed]
    desk = request.app[CONTEXT].feedback
    if desk is None:
        raise RefusedError("This gateway takes no feedback.")
    return answer(msgspec.to_builtins(await desk.take(held.spec.name, ratings)))


def _rating(given: Feedback, versions: Mapping[str, object]) -> Rating:
    verdicts = [
        given.bad,
        None if given.label is None else given.label == "down",
        None if given.score is None else given.score < BAD_BELOW,
    ]
    said = [one for one in verdicts if one is not None]
    what = f"The rating of {given.request_id!a}"
    if len(said) != 1:
        raise BadBody(f"{what} takes exactly one of score, label and bad.")
    if not is_name(given.name) or given.name in RESERVED:
        raise BadBody(f"{what}: {given.name[:64]!a} is no name for feedback; use {NAME_RULE}.")
    if given.version and given.version not in versions:
        raise BadBody(f"{what}: the route has no version {given.version[:64]!a}.")
    return Rating(given.request_id, said[0], given.name, given.version)
