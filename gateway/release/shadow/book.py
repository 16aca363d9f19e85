"""What is known of each route's pairs: counts, rates, drift, and the last ones that differed.

It begins anew when the route compares other versions or compares them otherwise. All of it is of
one gateway, in memory, and gone when its control process ends; what the judge goes by is in the
strata, and stays.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.release.shadow.drift import Classes, Drift
from gateway.release.shadow.judged import Judged, Kind, Outcome, Setup

MOST_EXAMPLES = 50  # of a route
EXAMPLE_SECONDS = 1.0  # between two of them: the last minute, not the last burst
MOST_REASONS = 30

Key = tuple[str, str, str, str]  # route, version, kind, outcome


class Shadow:
    """The pairs of one setup."""

    def __init__(self, setup: Setup, now: float) -> None:
        self.setup = setup
        self.since = now
        self._counts: Counter[tuple[Kind, Outcome]] = Counter()
        self._reasons: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}
        self._unreadable: Counter[str] = Counter()
        self._classes = Classes()
        self._examples: deque[dict[str, Any]] = deque(maxlen=MOST_EXAMPLES)
        self._example_at = -EXAMPLE_SECONDS

    def __repr__(self) -> str:
        return f"<Shadow of {self.setup.route}: {self._counts.total()} pairs>"

    def wants_example(self, now: float) -> bool:
        return now - self._example_at >= EXAMPLE_SECONDS

    def note(self, judged: Judged, now: float) -> None:
        self._counts[judged.kind, judged.outcome] += 1
        if judged.outcome is Outcome.UNREADABLE:
            _count(self._unreadable, judged.reason)
            return
        is_candidate = judged.kind is Kind.CANDIDATE
        copied = judged.copy_classes if is_candidate else None
        self._classes.note(int(now) // 60, copied, judged.primary_classes)
        if judged.outcome is Outcome.SAME:
            return
        _count(self._reasons[judged.kind], judged.reason)
        if judged.excerpts is not None and self.wants_example(now):
            self._example_at = now
            self._examples.append(_example(judged, now))

    def told(self, now: float) -> dict[str, Any]:
        """For people; without the examples."""
        drifts = self._classes.drifts(int(now) // 60)
        setup = self.setup
        return {
            "route": setup.route,
            "candidate": setup.candidate,
            "stable": setup.stable,
            "since": round(self.since, 3),
            "pairs": {kind.value: self._rates(kind) for kind in Kind},
            "excess": self._excess(),
            "unreadable": dict(self._unreadable.most_common()),
            "drift": [_drift(one) for one in drifts],
            "holds": list(self._holds(drifts)),
        }

    def holds(self, now: float) -> tuple[str, ...]:
        """Reasons to raise no weight, in words; no reason to take any away."""
        return tuple(self._holds(self._classes.drifts(int(now) // 60)))

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The newest first."""
        return list(reversed(self._examples))

    def _rates(self, kind: Kind) -> dict[str, Any]:
        counts = {outcome.value: self._counts[kind, outcome] for outcome in Outcome}
        same, different = self._counts[kind, Outcome.SAME], self._counts[kind, Outcome.DIFFERENT]
        judged = same + different
        return {
            **counts,
            # No pairs are no agreement, and no disagreement either.
            "agreement": round(same / judged, 6) if judged else None,
            "reasons": dict(self._reasons[kind].most_common()),
        }

    def _excess(self) -> float | None:
        """By how much oftener the candidate differs from stable than stable from itself."""
        shares = []
        for kind in (Kind.CANDIDATE, Kind.SELF):
            different = self._counts[kind, Outcome.DIFFERENT]
            judged = different + self._counts[kind, Outcome.SAME]
            if not judged:
                return None
            shares.append(different / judged)
        return round(shares[0] - shares[1], 6)

    def _holds(self, drifts: tuple[Drift, ...]) -> Iterator[str]:
        for one in drifts:
            if one.is_drift:
                seen = f"{sum(one.candidate.values())} and {sum(one.stable.values())} answers"
                yield (
                    f"answers of {self.setup.candidate} drift from those of {self.setup.stable}: "
                    f"PSI of {one.kind} is {one.index:.2f} over {seen}"
                )


class ShadowBook:
    """All routes of one gateway."""

    def __init__(self) -> None:
        self.lost = 0  # pairs that nobody had time for
        self.notes: dict[str, str] = {}  # plug-in -> what is wrong with it
        self._shadows: dict[str, Shadow] = {}
        self._totals: Counter[Key] = Counter()

    def __repr__(self) -> str:
        return f"<ShadowBook of {len(self._shadows)} routes>"

    @property
    def totals(self) -> Mapping[Key, int]:
        """Pairs since the process began, by route, version, kind and outcome."""
        return self._totals

    def of(self, setup: Setup, now: float) -> Shadow:
        """The shadow of this setup, a new one if the route had another."""
        held = self._shadows.get(setup.route)
        if held is None or held.setup != setup:
            held = self._shadows[setup.route] = Shadow(setup, now)
        return held

    def note(self, judged: Judged, now: float) -> None:
        """To be called in the order in which pairs came; a setup that is over is left alone."""
        setup = judged.setup
        self._totals[setup.route, judged.version, judged.kind, judged.outcome] += 1
        held = self._shadows.get(setup.route)
        if held is not None and held.setup == setup:
            held.note(judged, now)

    def find(self, route: str) -> Shadow | None:
        """What the route's pairs are like; None = there was none."""
        return self._shadows.get(route)

    def forget(self, route: str) -> None:
        self._shadows.pop(route, None)


def _count(counts: Counter[str], reason: str) -> None:
    if reason in counts or len(counts) < MOST_REASONS:
        counts[reason] += 1
    else:
        counts["other"] += 1


def _example(judged: Judged, now: float) -> dict[str, Any]:
    assert judged.excerpts is not None
    primary, copy = judged.excerpts
    return {
        "at": round(now, 3),
        "request_id": judged.request_id,
        "kind": judged.kind.value,
        "version": judged.version,
        "reason": judged.reason,
        "where": judged.where,
        "score": round(judged.score, 6),
        "stable_answer": primary,
        "copy_answer": copy,
    }


def _drift(one: Drift) -> dict[str, Any]:
    limit = one.limit
    return {
        "class": one.kind,
        "psi": round(one.index, 4),
        "limit": None if limit == float("inf") else round(max(limit, 0.1), 4),
        "is_drift": one.is_drift,
        "candidate": dict(one.candidate),
        "stable": dict(one.stable),
    }
