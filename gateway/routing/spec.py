"""A route as plain data: valid, complete, and the same in every process.

`state` makes a `RouteSpec` from what operators typed into the store and refuses what is not valid;
the control process sends it to the workers; `table` compiles it into something fast. Nothing in
here checks anything: a `RouteSpec` that exists has passed the checks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.routing.bucket import natural_key


class VersionSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One deployed version: where it answers, and what people noted about it."""

    urls: tuple[str, ...]
    rewrite_model: str = ""  # put into the body's "model" for this version; empty = leave it
    meta: dict[str, Any] = {}
    is_retired: bool = False  # kept for the record; gets no traffic


class RuleSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An ordered condition; exactly one of `version` and `weights` is set."""

    when: dict[str, Any]
    version: str | None = None
    weights: dict[str, float] | None = None
    name: str = ""


class RouteSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One published model or service and how its units are split over its versions."""

    name: str
    stable: str
    versions: dict[str, VersionSpec]  # those that may get traffic
    retired: dict[str, VersionSpec] = {}
    weights: dict[str, float] = {}  # candidate -> percent of units, without stable
    rules: tuple[RuleSpec, ...] = ()

    hosts: tuple[str, ...] = ()  # lower case, without port; "*.example.com" allowed; none = any
    paths: tuple[str, ...] = ("/",)  # prefixes, whole segments
    models: tuple[str, ...] = ()  # names in the body field "model"; none = any
    methods: tuple[str, ...] = ()  # upper case; none = any

    unit: tuple[str, ...] = ("header:x-user-id",)  # sources, the first present one wins
    salt: str = ""  # resolved: never empty in a valid route
    jwt: str = "verified"  # or "trusted": the caller in front has verified the token already
    paused: bool = False  # weights are kept but not applied

    dialect: str = "problem"  # of the gateway's own errors: openai, anthropic, kserve, problem
    failover: bool = True
    spill_cap: float | None = None  # percent of units a candidate may take when stable is down
    timeouts: dict[str, float] = {}  # queue, connect, first_byte, idle, total -> seconds

    balance: str = "least"  # or "rendezvous": a unit keeps its endpoint while that one is up
    retries: int = 1  # further attempts, only when the request provably had no effect
    max_requests: int = 1024  # at a time, per version and worker
    max_pending: int = 1024  # that wait beyond those, per version and worker
    max_connections: int = 1024  # per endpoint and worker
    health_path: str = ""  # what active checks ask for; empty = none are made
    health_interval: float = 2.0  # seconds between two active checks of an endpoint
    body_limit: int = 0  # bytes of a request's body; 0 = the gateway's own limit

    mirror: str = ""  # version that gets copies of requests; empty = none
    mirror_percent: float = 100.0  # of the requests, by chance
    mirror_credentials: bool = False  # whether copies keep Authorization, Cookie, API keys
    mirror_self: float = 20.0  # percent of stable's copies that go to stable itself; see `compare`
    compare: str = ""  # how copies' answers are compared, as JSON; empty = not at all

    feedback: float = 0.0  # percent of the answers that can be rated afterwards

    @property
    def candidates(self) -> tuple[str, ...]:
        """The versions that may take weight, in the order that fixes their intervals."""
        return tuple(sorted((v for v in self.versions if v != self.stable), key=natural_key))
