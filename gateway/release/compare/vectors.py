"""Embeddings: the angle between two vectors."""

from __future__ import annotations

from math import isfinite, sqrt

from gateway.release.compare.answer import Answer, Comparison, Unreadable
from gateway.release.compare.paths import find, split
from gateway.release.compare.spec import CompareSpec

_USUAL = ("data.*.embedding", "embedding", "embeddings.*", "embeddings", "vector")

Vector = list[float]


def vectors_in(document: object, path: str) -> list[Vector]:
    """All vectors of an answer, in their order. Raises Unreadable."""
    for each in [path] if path else _USUAL:
        found = [value for value in find(document, split(each)) if _is_vector(value)]
        if found:
            return found  # type: ignore[return-value]  # checked by _is_vector
    raise Unreadable(f"there is no vector at {path or 'any of the usual places'}")


def compare_vectors(one: Answer, other: Answer, spec: CompareSpec) -> Comparison:
    """The worst pair decides; the score is its distance, 1 - cosine."""
    ours, theirs = vectors_in(one.document(), spec.path), vectors_in(other.document(), spec.path)
    if len(ours) != len(theirs):
        return Comparison(True, "count", spec.path, 1.0)
    if any(len(a) != len(b) for a, b in zip(ours, theirs, strict=True)):
        return Comparison(True, "dimension", spec.path, 1.0)
    least = min(cosine(a, b) for a, b in zip(ours, theirs, strict=True))
    differs = least < spec.cosine
    return Comparison(differs, "cosine" if differs else "", spec.path, 1.0 - least)


def cosine(a: Vector, b: Vector) -> float:
    """1 for two vectors of nothing, 0 when only one is nothing."""
    length_a, length_b = sqrt(sum(x * x for x in a)), sqrt(sum(x * x for x in b))
    if length_a == 0.0 or length_b == 0.0:
        return 1.0 if length_a == length_b else 0.0
    value = sum(x * y for x, y in zip(a, b, strict=True)) / (length_a * length_b)
    return value if isfinite(value) else 0.0


def _is_vector(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
    )
