"""What a drill of the way back is asked for, and the report that it leaves.

A drill breaks a stand-in of a candidate on a route of its own and measures how long it takes until
nobody is sent there any more. Only `passed` says that the way back works as fast as was wanted.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal["errors", "latency", "cut", "garbled"]
Outcome = Literal["running", "passed", "late", "failed"]

# Latency is judged from a version's second minute on, and needs more answers than a failure.
TARGET_SECONDS: dict[str, float] = {"errors": 8.0, "latency": 120.0, "cut": 8.0, "garbled": 8.0}
REPORTS_KEPT = 20  # of each route

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
Path = Annotated[str, Meta(pattern="^/[!-~]{0,2000}$")]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to rehearse, and with what requests; nothing of it reaches anybody's users."""

    kind: Kind = "errors"
    target: Annotated[float, Meta(ge=0, le=3600)] = 0.0  # seconds; 0 = the usual of the kind
    version: Annotated[str, Meta(max_length=64)] = ""  # that the stand-in passes requests on to
    weight: Annotated[float, Meta(ge=1, le=50)] = 10.0  # percent that the stand-in gets
    rate: Annotated[float, Meta(ge=5, le=200)] = 40.0  # requests per second
    method: Method = "GET"
    path: Annotated[str, Meta(max_length=2001)] = ""  # empty = what health checks ask for, or /
    body: Annotated[str, Meta(max_length=65_536)] = ""
    why: Annotated[str, Meta(max_length=500)] = ""

    @property
    def target_seconds(self) -> float:
        return self.target or TARGET_SECONDS[self.kind]


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds after the first request that failed; None = it never happened."""

    detected: float | None = None  # the first hold or alarm, by the leader's clock
    decided: float | None = None  # the alarm that took the weight away, by the leader's clock
    seen: float | None = None  # status and weights were in the store, and told to this gateway
    propagated: float | None = None  # every worker of all gateways held the table without it
    quiet: float | None = None  # the last request that the stand-in got, or that failed

    @property
    def total(self) -> float | None:
        """Until nobody was sent there any more."""
        ends = [one for one in (self.seen, self.propagated, self.quiet) if one is not None]
        return max(ends) if len(ends) == 3 else None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One drill, running or over."""

    id: str
    route: str
    kind: Kind
    outcome: Outcome
    target: float
    gateway: str
    by: str
    began: float  # unix time
    ended: float | None = None
    step: str = ""  # what a running one is doing, or one that failed was
    why: str = ""  # it failed
    times: Times = Times()
    requests: int = 0  # that were sent in all
    failed: int = 0  # that the fault met
    release: str = ""

    @property
    def is_over(self) -> bool:
        return self.outcome != "running"


def concluded(report: Report, times: Times, now: float, why_not_held: str) -> Report:
    """The report of a drill that was measured to its end."""
    total = times.total
    if total is None:
        missing = "nobody took the weight away" if times.seen is None else why_not_held
        return msgspec.structs.replace(
            report, outcome="failed", why=missing, times=times, ended=now
        )
    outcome: Outcome = "passed" if total <= report.target else "late"
    return msgspec.structs.replace(report, outcome=outcome, times=times, ended=now, step="")


def told(report: Report) -> str:
    """In one sentence, for the history and for people."""
    name = f"drill {report.id} ({report.kind})"
    total = report.times.total
    if report.outcome == "running":
        return f"{name} is running: {report.step}"
    if total is None:
        return f"{name} failed while {report.step}: {report.why}"
    verdict = "passed" if report.outcome == "passed" else "was late"
    return (
        f"{name} {verdict}: {total:.2f} s from the first failure to weight 0 everywhere, "
        f"wanted {report.target:g} s; {report.failed} requests of the drill failed"
    )
