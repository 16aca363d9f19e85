"""Evidence in sentences, for people who have to decide or to explain."""

from __future__ import annotations

from gateway.release.judge.counts import Counts
from gateway.release.judge.families import LatencyFamily, shown_cut
from gateway.release.judge.late import Late
from gateway.release.statistics.latency import edge_of

_NOUNS = {
    "errors": "requests failed",
    "client-errors": "requests were refused as the client's fault",
    "shadow": "mirrored answers differed",
    "feedback": "ratings were bad",
}


def share(bad: int, total: int) -> str:
    return f"{100.0 * bad / total:.3g} %" if total else "no data"


def ratio(estimate: float | None, interval: tuple[float, float] | None) -> str:
    """The ratio of rates with its confidence sequence; empty when nothing was bad."""
    if estimate is None or interval is None:
        return ""
    low, high = interval
    least = "0" if low == 0.0 else f"{low:.2g}"
    most = "any" if high == float("inf") else f"{high:.2g}"
    return f", {estimate:.2g} times stable's rate (95 %: {least} to {most})"


def of_rates(
    name: str, counts: Counts, estimate: float | None, interval: tuple[float, float] | None
) -> str:
    if not counts.candidate or not counts.stable:
        return f"{name}: nothing to compare yet"
    noun = _NOUNS.get(name, "events were bad")
    return (
        f"{name}: {counts.candidate_bad:,} of {counts.candidate:,} {noun} on the candidate "
        f"({share(counts.candidate_bad, counts.candidate)}), "
        f"{counts.stable_bad:,} of {counts.stable:,} on stable "
        f"({share(counts.stable_bad, counts.stable)}){ratio(estimate, interval)}"
    )


def of_late(late: Late, old_rate: float) -> str:
    """What the watch of the bake found; `old_rate` stands in when nothing is held back."""
    risen, all_of_it = late.risen(), late.counts
    before = Counts(
        all_of_it.candidate - risen.candidate, all_of_it.candidate_bad - risen.candidate_bad
    )
    told = (
        f"errors rose after the promotion: {risen.candidate_bad:,} of {risen.candidate:,} "
        f"{_NOUNS['errors']} on the candidate within {late.span_seconds()} s "
        f"({share(risen.candidate_bad, risen.candidate)})"
    )
    if before.candidate:
        told += f", {share(before.candidate_bad, before.candidate)} earlier in the bake"
    if late.is_alone:
        return f"{told}; nothing is held back on stable, which had {100.0 * old_rate:.3g} %"
    return (
        f"{told}, {risen.stable_bad:,} of {risen.stable:,} on stable at the same time "
        f"({share(risen.stable_bad, risen.stable)})"
    )


def of_latency(family: LatencyFamily, *, is_by_unit: bool = False) -> str:
    shown = family.shown()
    if shown is None:
        return "latency: not judged, since stable's times before the release are not known"
    metric, counts = shown.metric, shown.counts
    if not counts.candidate or not counts.stable:
        return "latency: nothing to compare yet"
    limit = edge_of(shown.scale.thresholds[shown_cut(shown.scale)])
    noun = {"total": "requests took", "first_byte": "first bytes took", "gap": "streams paused"}
    what = "latency, one request of each unit" if is_by_unit else "latency"
    return (
        f"{what}: {share(counts.candidate_bad, counts.candidate)} of the candidate's "
        f"{counts.candidate:,} {noun[metric]} {seconds(limit)} or more, "
        f"{share(counts.stable_bad, counts.stable)} of stable's {counts.stable:,}"
    )


def seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1.0 else f"{1000.0 * value:.3g} ms"
