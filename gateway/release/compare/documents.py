"""Two JSON documents, field by field, with tolerances for numbers."""

from __future__ import annotations

from math import isfinite

from gateway.release.compare.answer import Comparison
from gateway.release.compare.paths import is_named, split
from gateway.release.compare.spec import CompareSpec

MAX_NODES = 200_000

Place = tuple[str, ...]


def compare_documents(one: object, other: object, spec: CompareSpec) -> Comparison:
    """The first difference in the order of the document, and how many there are as the score."""
    ignored = tuple(split(path) for path in spec.ignore)
    found: list[tuple[str, Place]] = []
    # A stack of our own: documents may be nested deeper than Python's.
    waiting: list[tuple[object, object, Place]] = [(one, other, ())]
    nodes = 0
    while waiting:
        a, b, place = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES:
            break
        if place and is_named(place, ignored):
            continue
        reason = _differ(a, b, spec)
        if reason:
            found.append((reason, place))
        else:
            waiting.extend(reversed(_inside(a, b, place)))
    if not found:
        return Comparison(differs=False)
    reason, place = found[0]
    return Comparison(True, reason, ".".join(place), float(len(found)))


def _inside(a: object, b: object, place: Place) -> list[tuple[object, object, Place]]:
    """What the two hold, side by side."""
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted({*a, *b})
        return [(a.get(n, _NONE), b.get(n, _NONE), (*place, str(n))) for n in names]
    if isinstance(a, list) and isinstance(b, list):
        pairs = zip(a, b, strict=True)
        return [(x, y, (*place, str(number))) for number, (x, y) in enumerate(pairs)]
    return []


class _Nothing:
    """Stands for a field that is not there; `null` is something."""


_NONE = _Nothing()


def _differ(a: object, b: object, spec: CompareSpec) -> str:
    """What kind of difference these two are by themselves, their content aside."""
    if a is _NONE or b is _NONE:
        return "missing" if b is _NONE else "extra"
    if _is_number(a) and _is_number(b):
        return "" if is_close(float(a), float(b), spec) else "value"  # type: ignore[arg-type]
    if type(a) is not type(b):
        return "type"
    if isinstance(a, list) and isinstance(b, list):
        return "" if len(a) == len(b) else "length"
    if isinstance(a, dict):
        return ""
    return "" if a == b else "value"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_close(a: float, b: float, spec: CompareSpec) -> bool:
    if not (isfinite(a) and isfinite(b)):
        return a == b
    return abs(a - b) <= spec.atol + spec.rtol * max(abs(a), abs(b))
