"""What calls are answered, as types: the OpenAPI document is made of these, and tests hold them.

Only what handlers answer with plain objects stands here; who answers with a struct of its own is
described by that. Fields without a default are always there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.state.compare import FieldChange

Revision = Annotated[int, Meta(ge=0)]


class FieldError(msgspec.Struct):
    """One thing that is wrong, and where."""

    field: str
    text: str


class ProblemDetails(msgspec.Struct):
    """Why a call was not done (RFC 9457); programs switch on `code`."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    code: str
    detail: str
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET


class WrittenAt(msgspec.Struct):
    """The revision it stands at now; `changed` is false when nothing differed."""

    revision: Revision
    changed: bool


class WhoAmI(msgspec.Struct):
    """Who calls, as far as that is proven."""

    name: str
    role: Literal["viewer", "operator", "approver", "admin"]
    routes: list[str]
    token: str | None
    expires: int | None
    proven: bool


class VersionShown(msgspec.Struct):
    """Where a version answers, and what people noted about it."""

    urls: list[str]
    rewrite_model: str
    meta: dict[str, Any]


class RegisteredVersion(VersionShown):
    """The same, with how it is used."""

    state: str
    is_stable: bool
    weight: float
    used_by: list[str]


class Matching(msgspec.Struct):
    """The requests that a route is for; an empty list = any."""

    hosts: list[str]
    paths: list[str]
    models: list[str]
    methods: list[str]


class RouteShown(msgspec.Struct):
    """A route as it is in force."""

    revision: Revision
    changed_at_ms: int
    stable: str
    versions: dict[str, VersionShown]
    retired: dict[str, VersionShown]
    weights: dict[str, float]
    paused: bool
    salt: str
    unit: list[str]
    match: Matching
    options: dict[str, Any]
    rules: list[dict[str, Any]]
    lists: dict[str, int]


class Refusal(msgspec.Struct):
    """What the store holds and nobody routes by, or what looks odd."""

    route: str
    key: str
    reason: str
    text: str


class StateShown(msgspec.Struct):
    """The whole picture."""

    gateway: dict[str, Any]
    sequence: int
    routes: dict[str, RouteShown]
    differs: dict[str, Any]
    refused: list[Refusal]
    warnings: list[Refusal]
    audit: dict[str, Any]
    store: dict[str, Any]
    workers: list[dict[str, Any]]
    endpoints: list[dict[str, Any]]
    processes: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Quantiles(msgspec.Struct):
    """Seconds; null = there was nothing to measure."""

    p50: float | None
    p95: float | None
    p99: float | None


class VersionNumbers(msgspec.Struct):
    """One version over the window; null = nothing to compare with."""

    requests_per_second: float | None
    share_wanted: float
    share_by_weight: float | None
    share: float | None
    requests: float
    failures: float
    error_ratio: float | None
    in_flight: float
    duration_seconds: Quantiles
    first_byte_seconds: Quantiles


class RouteNumbers(msgspec.Struct):
    """A route's versions side by side."""

    stable: str
    paused: bool
    versions: dict[str, VersionNumbers]


class Numbers(msgspec.Struct):
    """What was measured in the last `seconds`."""

    seconds: float
    routes: dict[str, RouteNumbers]


class InstanceShown(msgspec.Struct):
    """A gateway that shares the store."""

    at: float
    version: str
    revisions: dict[str, int]
    drills: dict[str, list[float]]
    is_this_one: bool


class HistoryEntry(msgspec.Struct, rename={"origin": "from"}):
    """One accepted change."""

    revision: Revision
    at_ms: int
    by: str
    via: str
    origin: str
    why: str
    op: str
    changes: list[FieldChange]
    lists: str


class Step(msgspec.Struct):
    """One step of a decision."""

    reason: str
    hit: bool
    text: str


class Explained(msgspec.Struct):
    """Which version it gets, and why."""

    route: str
    version: str
    reason: str
    unit: str | None
    source: str
    rule: str | None
    percent: float | None
    intervals: dict[str, list[list[float]]]
    steps: list[Step]


class Move(msgspec.Struct, rename={"old": "from", "new": "to"}):
    """Units that go from one version to another one."""

    old: str
    new: str
    units: int


class Previewed(msgspec.Struct):
    """How many units would move; nothing was written."""

    units: int
    moves: list[Move]
    before: dict[str, int]
    after: dict[str, int]


class Members(msgspec.Struct):
    """Ids on a list and how many there are, or where a search goes on."""

    ids: list[str]
    count: int | msgspec.UnsetType = msgspec.UNSET
    next: str | msgspec.UnsetType | None = msgspec.UNSET
    used_by: list[str] | msgspec.UnsetType = msgspec.UNSET
    revision: Revision | msgspec.UnsetType = msgspec.UNSET


class Listed(msgspec.Struct):
    """Whether one id is on a list."""

    unit: str
    listed: bool


class RulesShown(msgspec.Struct):
    """All rules, in the order in which they are asked."""

    rules: list[dict[str, Any]]


class Difference(msgspec.Struct, rename={"start": "from", "end": "to"}):
    """What differs between two revisions."""

    start: Revision
    end: Revision
    changes: list[FieldChange]
    lists: dict[str, Any]
    complete: bool


class AppliedRoute(msgspec.Struct):
    """What became of one route, or would."""

    route: str
    op: Literal["create", "change", "delete", "same"]
    revision: Revision
    changes: list[FieldChange]


class Applied(msgspec.Struct):
    """What was brought to what the body says."""

    dry_run: bool
    changed: int
    routes: list[AppliedRoute]


class SegmentsShown(msgspec.Struct):
    """All segments; `complete` is false when there may be more."""

    segments: dict[str, Any]
    complete: bool


class ReleaseShown(msgspec.Struct):
    """A release as it stands; null = there never was one."""

    release: str | None
    step: int
    running: bool
    status: dict[str, Any] | None
    evidence: dict[str, Any] | None
    warnings: list[Any] = []
    problem: str = ""
    refused: str = ""


class ReleaseSaid(ReleaseShown, kw_only=True):
    """The same; `taken` is false when no gateway has done it yet."""

    taken: bool


class Forecast(msgspec.Struct):
    """What a plan means at the traffic of now."""

    plan: dict[str, Any]
    forecast: dict[str, Any]
    words: Any = None


class Repopulated(msgspec.Struct):
    """What became of each route."""

    routes: dict[str, Any]


class Verified(msgspec.Struct):
    """How the chain of one history, or of the audit, was found."""

    route: str | None
    segment: str | None
    entries: int
    unchained: int
    first: int | None
    last: int | None
    chain: str
    problems: list[Any]


class TokenShown(msgspec.Struct):
    """A token without what opens anything."""

    name: str
    role: Literal["viewer", "operator", "approver", "admin"]
    routes: list[str]
    created: int
    expires: int | None
    revoked: int | None
    valid: bool


class NewTokenShown(TokenShown):
    """A new token; its text is told this once."""

    id: str
    token: str


class TokensShown(msgspec.Struct):
    """All tokens, and what cannot be used."""

    tokens: dict[str, TokenShown]
    refused: list[str]


class Revoked(msgspec.Struct):
    """Ids of the tokens that were taken back."""

    revoked: list[str]
