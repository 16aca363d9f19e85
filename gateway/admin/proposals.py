"""Four eyes: what gives a candidate more is proposed by one person and written for another.

Nothing that gives it less ever waits. Releases have approvals of their own and do not come by here.
"""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.calls import answer, author, body_as
from gateway.admin.context import CONTEXT
from gateway.admin.problem import log
from gateway.admin.roles import PRINCIPAL, Principal
from gateway.admin.routes import Reason
from gateway.errors import ConflictError, ConsentError, ForbiddenError, NotFoundError
from gateway.state.audit import Noted
from gateway.state.compare import FieldChange, compare
from gateway.state.history import Delta
from gateway.state.proposals import Proposal, Wish
from gateway.state.tokens import Role
from gateway.state.write import Author, Change, Written


class Waiting(msgspec.Struct):
    """A change that waits for consent: what would differ, and why it needs a second person."""

    id: str
    route: str  # "" = it is about a segment
    segment: str
    revision: int  # it is written only while the route or segment stands here
    by: str
    why: str
    raises: tuple[str, ...]
    changes: list[FieldChange]
    lists: dict[str, dict[str, int]]
    created: int
    expires: int


class Proposed(msgspec.Struct):
    """Nothing was written yet but what is named; the rest waits for the consent of an approver."""

    proposals: list[Waiting]
    written: list[str] = []  # routes, of several that were to be changed in one call


class Consented(msgspec.Struct):
    """What was proposed is written, as this revision."""

    id: str
    revision: int
    changed: bool


class Refused(msgspec.Struct):
    """The proposal is gone, and nothing was written."""

    id: str
    refused: bool


@web.middleware
async def propose(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Innermost: what a handler was not allowed to write by itself becomes a proposal, 202."""
    try:
        return await handler(request)
    except ConsentError as error:
        wishes = [wish for wish in error.wishes if isinstance(wish, Wish)]
        made = [await _propose(request, wish, error.why) for wish in wishes]
        response = answer(Proposed(made, list(error.written)))
        response.set_status(202)
        return response


async def _propose(request: web.Request, wish: Wish, why: str) -> Waiting:
    context, principal = request.app[CONTEXT], request[PRINCIPAL]
    by = author(request, why)
    now = int(time.time())
    proposal = Proposal(
        wish=wish,
        by=principal.name,
        token=principal.token,
        via=by.via,
        origin=by.origin,
        why=by.why,
        created=now,
        expires=now + max(1, int(context.settings.admin.proposal_seconds)),
    )
    name = await context.store.proposals.add(proposal)
    _note(request, "proposed", name, proposal)
    log.info("%s proposes %s: %s.", principal.name, wish.about, "; ".join(wish.reasons))
    return _told(name, proposal)


async def index(request: web.Request) -> web.Response:
    """What waits for consent, oldest first."""
    principal = request[PRINCIPAL]
    waiting = await request.app[CONTEXT].store.proposals.waiting(time.time())
    return answer([_told(name, one) for name, one in waiting.items() if _may_see(principal, one)])


async def approve(request: web.Request) -> web.Response:
    """Consent of a second person: it is written now, if nothing moved since it was proposed."""
    reason = await body_as(request, Reason)
    name, proposal = await _named(request)
    principal, store = request[PRINCIPAL], request.app[CONTEXT].store
    if is_same_person(principal, proposal):
        raise ForbiddenError(f"{principal.name} proposed this; it takes another person's consent.")
    said = f" ({reason.why})" if reason.why else ""
    both = f"approved by {principal.name}{said}"
    by = replace(
        author(request, f"{proposal.why}; {both}" if proposal.why else both),
        by=proposal.by,
        needs_consent=False,
    )
    try:
        if proposal.wish.segment:
            written = await _write_segment(request, proposal.wish, by)
        else:
            written = await _write_route(request, proposal.wish, by)
    except ConflictError:
        await store.proposals.drop(name)
        raise ConflictError(
            f"{proposal.wish.about} has moved on since this was proposed, so nothing was written "
            "and the proposal is gone; propose it anew."
        ) from None
    await store.proposals.drop(name)
    _note(request, "approved", name, proposal, reason.why)
    return answer(Consented(name, written.revision, written.changed), written.revision)


async def refuse(request: web.Request) -> web.Response:
    """Take a proposal away: an approver, or whoever made it."""
    reason = await body_as(request, Reason)
    name, proposal = await _named(request)
    principal = request[PRINCIPAL]
    if principal.role < Role.APPROVER and not is_same_person(principal, proposal):
        raise ForbiddenError(f"This takes the role {Role.APPROVER}, or who proposed it.")
    is_gone = await request.app[CONTEXT].store.proposals.drop(name)
    if is_gone:
        _note(request, "proposal_refused", name, proposal, reason.why)
    return answer(Refused(name, is_gone))


def is_same_person(principal: Principal, proposal: Proposal) -> bool:
    """People are told apart by the names of their tokens: a second token is no second person."""
    return principal.name == proposal.by or (
        bool(principal.token) and principal.token == proposal.token
    )


async def _write_route(request: web.Request, wish: Wish, by: Author) -> Written:
    lists = {
        name: Delta(frozenset(moved.added), frozenset(moved.removed))
        for name, moved in wish.lists.items()
    }
    change = Change(lambda _: wish.after, lists, expected_revision=wish.revision)
    return await request.app[CONTEXT].store.writer.change(wish.route, change, by)


async def _write_segment(request: web.Request, wish: Wish, by: Author) -> Written:
    [moved] = wish.lists.values()
    delta = Delta(frozenset(moved.added), frozenset(moved.removed))
    return await request.app[CONTEXT].store.segments.change(wish.segment, delta, by, wish.revision)


async def _named(request: web.Request) -> tuple[str, Proposal]:
    name = request.match_info["proposal"]
    proposal = await request.app[CONTEXT].store.proposals.find(name, time.time())
    if not _may_see(request[PRINCIPAL], proposal):
        raise NotFoundError(f"No proposal {name[:64]!a} waits; see: graygate proposals list")
    return name, proposal


def _may_see(principal: Principal, proposal: Proposal) -> bool:
    route = proposal.wish.route
    return principal.may_see(route) if route else principal.sees_everything


def _told(name: str, proposal: Proposal) -> Waiting:
    wish = proposal.wish
    return Waiting(
        id=name,
        route=wish.route,
        segment=wish.segment,
        revision=wish.revision,
        by=proposal.by,
        why=proposal.why,
        raises=wish.reasons,
        changes=compare(wish.before, wish.after),
        lists={
            one: {"added": len(moved.added), "removed": len(moved.removed)}
            for one, moved in wish.lists.items()
        },
        created=proposal.created,
        expires=proposal.expires,
    )


def _note(request: web.Request, op: str, name: str, proposal: Proposal, why: str = "") -> None:
    principal = request[PRINCIPAL]
    raises = "; ".join(proposal.wish.reasons)
    request.app[CONTEXT].store.audit.note(
        Noted(
            op,
            principal.name,
            request.remote or "",
            f"proposal {name} of {proposal.by}, {proposal.wish.about}: {raises}",
            why or proposal.why,
            token=principal.token,
        )
    )
