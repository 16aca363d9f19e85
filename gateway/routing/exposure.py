"""Whether a change of a route gives a candidate more than it has; pure, and in doubt it does.

More is: a higher or new weight, an end of a pause, another stable version, a version brought back,
a higher cap of what spills over, rules that may send anybody to a candidate who did not go there,
ids that come onto a candidate's whitelist or go from what keeps them at stable. Less is anything
else, and so is taking away a rule that sends to a candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.routing.rules import reads, segments_of
from gateway.routing.spec import RouteSpec, RuleSpec

Moves = Mapping[str, tuple[Set[bytes], Set[bytes]]]  # list -> ids that come, ids that go


def raised(before: RouteSpec | None, after: RouteSpec, lists: Moves) -> tuple[str, ...]:
    """What gives a candidate more, one phrase each; none = nothing does."""
    found = list(_by_weights(before, after))
    if before is not None:
        found += _by_fields(before, after)
    rules = before.rules if before is not None else ()
    if not _sends_less(rules, after.rules, after.stable):
        found.append("rules may send more to a candidate")
    found += _by_lists(after, lists)
    return tuple(found)


def segment_raised(
    name: str, routes: Mapping[str, RouteSpec], has_added: bool, has_removed: bool
) -> tuple[str, ...]:
    """The same for a change of who is in a segment, by the rules that ask for it."""
    found = []
    for route, spec in routes.items():
        asking = [rule for rule in spec.rules if name in segments_of(rule.when)]
        has_not = any(reads(rule.when, "not") for rule in asking)
        to_candidate = any(not _keeps(rule, spec.stable) for rule in asking)
        to_stable = any(_keeps(rule, spec.stable) for rule in asking)
        more = to_candidate or (to_stable and has_not)
        less = to_stable or (to_candidate and has_not)
        if (has_added and more) or (has_removed and less):
            found.append(f"rules of {route} ask for the segment {name}")
    return tuple(found)


def _by_weights(before: RouteSpec | None, after: RouteSpec) -> Iterator[str]:
    held = {} if before is None or before.paused else before.weights
    wanted = {} if after.paused else after.weights
    for name, weight in wanted.items():
        had = held.get(name, 0.0)
        if name != after.stable and weight > had:
            yield f"{name} goes from {had:g} % to {weight:g} %"


def _by_fields(before: RouteSpec, after: RouteSpec) -> Iterator[str]:
    if after.stable != before.stable:
        yield f"stable becomes {after.stable}, which was {before.stable}"
    for name in sorted(before.retired.keys() & after.versions.keys()):
        yield f"{name} is brought back"
    cap = before.spill_cap or 0.0
    if (after.spill_cap or 0.0) > cap:
        yield f"spill_cap goes from {cap:g} to {after.spill_cap:g}"


def _keeps(rule: RuleSpec, stable: str) -> bool:
    return rule.version == stable


def _sends_less(before: tuple[RuleSpec, ...], after: tuple[RuleSpec, ...], stable: str) -> bool:
    """Whether only rules to a candidate went and rules to stable came; the others keep order."""
    left = list(before)
    for rule in after:
        # What stands before its like was taken away, as far as that sends nobody to a candidate.
        place = next((n for n, one in enumerate(left) if one == rule), None)
        if place is None:
            if not _keeps(rule, stable):
                return False
            continue
        if any(_keeps(one, stable) for one in left[:place]):
            return False
        del left[: place + 1]
    return not any(_keeps(one, stable) for one in left)


def _by_lists(after: RouteSpec, lists: Moves) -> Iterator[str]:
    keeping = {blacklist_name(after.name), whitelist_name(after.name, after.stable)}
    for name, (added, removed) in lists.items():
        short = name.removeprefix(f"route/{after.name}/")
        if name in keeping and removed:
            yield f"{len(removed)} ids go from {short}"
        elif name not in keeping and added:
            yield f"{len(added)} ids come onto {short}"
