"""What each call takes and answers, for the OpenAPI document; a test finds calls that lack here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.admin import (
    answers,
    documents,
    explain,
    feedback,
    lists,
    proposals,
    releases,
    routes,
    rules,
    sign_in,
    tokens,
    versions,
)
from gateway.admin.context import Taken
from gateway.metrics.window import MOST_SECONDS
from gateway.release.drill.report import Wanted

JSON = "application/json"
TEXT = "text/plain"
EVENTS = "text/event-stream"
Schema = Mapping[str, Any]

ROUTE = "/api/v1/routes/{route}"
SEGMENT = "/api/v1/segments/{segment}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a query may say."""

    about: str
    schema: Schema
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """One call: a line about it, the types of its body and answer, and its query."""

    summary: str
    answers: Any = None  # a type, or some of which it is one; None = no JSON
    takes: Any = None  # a type; None = no JSON body
    example: Any = None  # of the body
    kind: str = JSON  # of the answer
    takes_kind: str = JSON
    query: Mapping[str, Parameter] = field(default_factory=dict)
    may_fail: bool = False  # a 503 of it is an answer of its own kind
    is_etagged: bool = False  # tells the revision in an ETag


def _number(most: int, about: str, *, least: int = 1, is_required: bool = False) -> Parameter:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(about, schema, is_required)


def _text(about: str, **more: Any) -> Parameter:
    return Parameter(about, {"type": "string", **more})


def _flag(about: str) -> Parameter:
    return Parameter(about, {"type": "boolean"})


WHY = {"why": _text("the reason, kept in the history")}
MOST = {"most": _number(1000, "how many at the most")}
SECONDS = {"seconds": _number(int(MOST_SECONDS), "how far to look back")}
NAMED_ROUTE = {"route": _text("this route only", pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")}
LIST_QUERY = {
    "most": _number(100_000, "how many ids at the most"),
    "unit": _text("ask whether this id is on the list instead"),
}
SEARCH = {
    **LIST_QUERY,
    "prefix": _text("ids that begin so"),
    "contains": _text("ids that hold this; not together with prefix"),
    "next": _text("go on where the last answer said", pattern="^[0-9]{1,20}$"),
}
EXPLAIN_QUERY = {
    "unit": _text("the id of a unit; without it the rest describes a request", minLength=1),
    "method": _text("GET when it is left out"),
    "host": _text("the Host of the request"),
    "path": _text("the path of the request", pattern="^/[A-Za-z0-9/._-]{0,200}$"),
    "query": _text("the query of the request"),
    "ip": _text("the address of the client"),
    "model": _text("the model in the body"),
}
IDS = Spoken(
    "Put all ids of the body, one a line, on the list, in portions",
    answers=None,
    kind="application/x-ndjson",
    takes={"type": "string", "minLength": 1},
    takes_kind=TEXT,
    example="alice\nbob\n",
    query={**WHY, "empty": _text("yes = a body without ids is no mistake")},
)
EXPORT = Spoken("Every id on the list, one a line", kind=TEXT)
WRITTEN = answers.WrittenAt


def _written(summary: str, takes: Any = None, example: Any = None, **more: Any) -> Spoken:
    return Spoken(summary, WRITTEN, takes, example, is_etagged=True, **more)


SPOKEN: Mapping[tuple[str, str], Spoken] = {
    ("GET", "/healthz"): Spoken("Whether the gateway is alive", kind=TEXT),
    ("GET", "/readyz"): Spoken("Whether requests can be routed", kind=TEXT, may_fail=True),
    ("GET", "/metrics"): Spoken("All series, as Prometheus reads them", kind=TEXT),
    ("GET", "/api/v1/openapi.json"): Spoken("This document", dict[str, Any]),
    ("GET", "/api/v1/whoami"): Spoken("Who calls", answers.WhoAmI),
    ("GET", "/api/v1/session"): Spoken("The session that this call comes with", sign_in.SignedIn),
    ("POST", "/api/v1/session"): Spoken("Sign in: a token becomes a cookie", sign_in.SignedIn),
    ("DELETE", "/api/v1/session"): Spoken("Sign out", sign_in.SignedOut),
    ("GET", "/api/v1/state"): Spoken("The whole picture", answers.StateShown),
    ("GET", "/api/v1/events"): Spoken(
        "What happens, as server-sent events",
        kind=EVENTS,
        query={
            "follow": _text("no = end after what is known"),
            "last_event_id": _text("begin after this event"),
        },
    ),
    ("GET", "/api/v1/numbers"): Spoken(
        "Numbers of all routes over the last seconds", answers.Numbers, query=SECONDS
    ),
    ("GET", f"{ROUTE}/numbers"): Spoken("Numbers of a route", answers.Numbers, query=SECONDS),
    ("GET", "/api/v1/instances"): Spoken(
        "The gateways that share the store", dict[str, answers.InstanceShown]
    ),
    ("GET", "/api/v1/routes"): Spoken("The routes in force", dict[str, answers.RouteShown]),
    ("GET", ROUTE): Spoken("A route in force", answers.RouteShown, is_etagged=True),
    ("PUT", ROUTE): _written(
        "Create a route, or bring it to what the body says: what it leaves out goes",
        documents.RouteBody,
        {"route": {"stable": "v1", "versions": {"v1": "http://10.0.0.1:8000"}}},
        query={"new": _flag("take no route that is there already")},
    ),
    ("PATCH", ROUTE): _written(
        "Change what the body names; null takes a field or a version away",
        documents.RouteBody,
        {"route": {"path": "/v1"}},
    ),
    ("DELETE", ROUTE): _written("Remove a route; its history stays", query=WHY),
    ("GET", f"{ROUTE}/versions"): Spoken(
        "The registry of a route", dict[str, answers.RegisteredVersion], is_etagged=True
    ),
    ("POST", f"{ROUTE}/versions"): _written(
        "Add a version", versions.NewVersion, {"name": "v4", "urls": ["http://10.0.0.4:8000"]}
    ),
    ("GET", f"{ROUTE}/versions/{{version}}"): Spoken(
        "A version", answers.RegisteredVersion, is_etagged=True
    ),
    ("PATCH", f"{ROUTE}/versions/{{version}}"): _written(
        "Change a version", versions.VersionChange, {"meta": {"owner": "team-a"}}
    ),
    ("POST", f"{ROUTE}/versions/{{version}}/retire"): _written(
        "Keep a version for the record only", routes.Reason, {"why": "replaced by v3"}
    ),
    ("POST", f"{ROUTE}/versions/{{version}}/restore"): _written(
        "Bring a retired version back", routes.Reason, {"why": "needed again"}
    ),
    ("DELETE", f"{ROUTE}/versions/{{version}}"): _written("Remove a version", query=WHY),
    ("GET", f"{ROUTE}/rules"): Spoken(
        "The rules as the store holds them", answers.RulesShown, is_etagged=True
    ),
    ("PUT", f"{ROUTE}/rules"): _written(
        "Put these rules in the place of all there are",
        rules.Rules,
        {"rules": [{"when": {"header": {"x-plan": "gold"}}, "version": "v2"}]},
    ),
    ("GET", f"{ROUTE}/diff"): Spoken(
        "What differs between two revisions",
        answers.Difference,
        query={
            "from": _number(999_999_999, "a revision", is_required=True),
            "to": _number(999_999_999, "another one", is_required=True),
        },
    ),
    ("POST", "/api/v1/apply"): Spoken(
        "Bring the routes to what the body says",
        answers.Applied,
        documents.ApplyBody,
        {"routes": {"chat": {"weights": {"v2": 10}}}},
        query={
            "dry_run": _flag("only tell what would change"),
            "prune": _flag("take away what is left out"),
        },
    ),
    ("PUT", f"{ROUTE}/weights"): _written(
        "Set the percent of units of candidates; stable takes the rest",
        routes.Weights,
        {"weights": {"v2": 20}, "why": "looks good"},
    ),
    ("POST", f"{ROUTE}/revert"): _written(
        "Bring a route and its lists back to a revision", routes.Revert, {"revision": 1}
    ),
    ("GET", f"{ROUTE}/history"): Spoken(
        "What happened to a route, newest first", list[answers.HistoryEntry], query=MOST
    ),
    ("GET", f"{ROUTE}/explain"): Spoken(
        "Which version a unit or request gets, and why", answers.Explained, query=EXPLAIN_QUERY
    ),
    ("POST", f"{ROUTE}/preview"): Spoken(
        "How many units would move at other weights",
        answers.Previewed,
        explain.Proposal,
        {"weights": {"v2": 20}, "sample": 1000},
    ),
    ("GET", f"{ROUTE}/whitelist/{{version}}"): Spoken(
        "Who always gets a version", (answers.Members, answers.Listed), query=SEARCH
    ),
    ("POST", f"{ROUTE}/whitelist/{{version}}"): _written(
        "Add and remove ids", lists.Ids, {"add": ["alice"], "remove": ["bob"]}
    ),
    ("GET", f"{ROUTE}/whitelist/{{version}}/ids"): EXPORT,
    ("POST", f"{ROUTE}/whitelist/{{version}}/ids"): IDS,
    ("PUT", f"{ROUTE}/whitelist/{{version}}/ids"): IDS,
    ("GET", f"{ROUTE}/blacklist"): Spoken(
        "Who always gets stable", (answers.Members, answers.Listed), query=SEARCH
    ),
    ("POST", f"{ROUTE}/blacklist"): _written(
        "Add and remove ids", lists.Ids, {"add": ["alice"], "remove": ["bob"]}
    ),
    ("GET", f"{ROUTE}/blacklist/ids"): EXPORT,
    ("POST", f"{ROUTE}/blacklist/ids"): IDS,
    ("PUT", f"{ROUTE}/blacklist/ids"): IDS,
    ("GET", f"{ROUTE}/release"): Spoken("The release that runs, or ran last", answers.ReleaseShown),
    ("POST", f"{ROUTE}/release"): Spoken(
        "Start a release",
        answers.ReleaseShown,
        releases.Start,
        {"plan": {"candidate": "v2", "stages": [{"weight": 5}, {"weight": 100}]}},
    ),
    ("POST", f"{ROUTE}/release/plan"): Spoken(
        "What a plan means at the traffic of now",
        answers.Forecast,
        releases.Planned,
        {"plan": {"candidate": "v2", "stages": [{"weight": 5}, {"weight": 100}]}},
    ),
    ("GET", f"{ROUTE}/release/watch"): Spoken(
        "The release, once it was written after a step",
        answers.ReleaseShown,
        query={
            "seconds": _number(releases.MOST_WAIT_SECONDS, "how long to wait"),
            "after": Parameter("the step that is known", {"type": "integer", "minimum": 0}),
        },
    ),
    ("POST", f"{ROUTE}/release/commands"): Spoken(
        "Pause, resume, abort or roll back", answers.ReleaseSaid, releases.Saying, {"verb": "pause"}
    ),
    ("POST", f"{ROUTE}/release/approvals"): Spoken(
        "What takes an approver",
        answers.ReleaseSaid,
        releases.Approval,
        {"verb": "approve", "why": "numbers are fine"},
    ),
    ("GET", f"{ROUTE}/release/report"): Spoken(
        "The report of a release",
        kind="text/markdown",
        query={
            "format": _text("markdown when it is left out", enum=["markdown", "json", "html"]),
            "release": _text("its id; the newest one when it is left out"),
        },
    ),
    ("GET", f"{ROUTE}/releases"): Spoken("The releases that ended", list[dict[str, Any]]),
    ("GET", f"{ROUTE}/drills"): Spoken("The last drills, and when the next one is due", Any),
    ("POST", f"{ROUTE}/drill"): Spoken("Rehearse the way back", Any, Wanted, {}),
    ("GET", f"{ROUTE}/shadow"): Spoken(
        "How the answers of a mirror's version compare with stable's", dict[str, Any]
    ),
    ("GET", f"{ROUTE}/shadow/examples"): Spoken("The last pairs that differed", Any),
    ("POST", f"{ROUTE}/feedback"): Spoken(
        "Ratings of answers",
        Taken,
        feedback.Feedback | list[feedback.Feedback],
        {"request_id": "0f8fad5b", "label": "up"},
    ),
    ("GET", "/api/v1/segments"): Spoken("All segments", answers.SegmentsShown),
    ("GET", SEGMENT): Spoken(
        "Who is in a segment", (answers.Members, answers.Listed), query=LIST_QUERY
    ),
    ("POST", SEGMENT): _written("Add and remove ids", lists.Ids, {"add": ["alice"]}),
    ("DELETE", SEGMENT): _written("Take everybody out of a segment", query=WHY),
    ("GET", f"{SEGMENT}/history"): Spoken(
        "What happened to a segment, newest first", list[answers.HistoryEntry], query=MOST
    ),
    ("POST", f"{SEGMENT}/revert"): _written(
        "Bring a segment back to a revision", routes.Revert, {"revision": 1}
    ),
    ("GET", "/api/v1/proposals"): Spoken("What waits for consent", list[proposals.Waiting]),
    ("POST", "/api/v1/proposals/{proposal}/approve"): Spoken(
        "Consent to what another person proposed", proposals.Consented, routes.Reason, {}
    ),
    ("POST", "/api/v1/proposals/{proposal}/refuse"): Spoken(
        "Take a proposal away", proposals.Refused, routes.Reason, {}
    ),
    ("POST", "/api/v1/repopulate"): Spoken(
        "Put the routes in force back into a store that lost them",
        answers.Repopulated,
        routes.Reason,
        {},
    ),
    ("GET", "/api/v1/audit"): Spoken(
        "All histories and the audit, one JSON object a line",
        kind="application/x-ndjson",
        query=NAMED_ROUTE,
    ),
    ("GET", "/api/v1/audit/verify"): Spoken(
        "Whether the hashes of the histories agree", list[answers.Verified], query=NAMED_ROUTE
    ),
    ("GET", "/api/v1/tokens"): Spoken("All tokens", answers.TokensShown),
    ("POST", "/api/v1/tokens"): Spoken(
        "Make a token; its text is told this once",
        answers.NewTokenShown,
        tokens.NewToken,
        {"name": "ci", "role": "operator", "routes": ["chat"], "expires_seconds": 86_400},
    ),
    ("DELETE", "/api/v1/tokens/{token}"): Spoken(
        "Take back the token of an id, or all of a name", answers.Revoked, query=WHY
    ),
}


UNSPOKEN = Spoken("", Any)  # a document with a gap is better than none; a test sees the gap


def types() -> list[Any]:
    """Every type that a call takes or answers."""
    found = [
        kind
        for one in SPOKEN.values()
        for kind in (one.takes, *(one.answers if isinstance(one.answers, tuple) else [one.answers]))
        if kind is not None and not isinstance(kind, Mapping)
    ]
    return [answers.ProblemDetails, proposals.Proposed, Any, *found]


def schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """The schema of each of those types, and the parts that they share."""
    every = types()
    made, parts = msgspec.json.schema_components(every, ref_template="#/components/schemas/{name}")
    return {repr(kind): schema for kind, schema in zip(every, made, strict=True)}, parts
