"""Labels and scores: what a classifier or a risk model says."""

from __future__ import annotations

from gateway.release.compare.answer import Answer, Comparison, Unreadable
from gateway.release.compare.paths import find, split
from gateway.release.compare.spec import CompareSpec

_USUAL = ("label", "labels", "class", "scores", "probabilities", "predictions", "outputs.0.data")


def best(document: object, path: str) -> tuple[str, float | None]:
    """The label, or the place of the best score, and that score. Raises Unreadable."""
    for each in [path] if path else _USUAL:
        for value in find(document, split(each)):
            found = _best_of(value)
            if found is not None:
                return found
    raise Unreadable(f"there is no label at {path or 'any of the usual places'}")


def compare_labels(one: Answer, other: Answer, spec: CompareSpec) -> Comparison:
    """Whether the label changed, or the best score by more than the gap."""
    label, score = best(one.document(), spec.path)
    other_label, other_score = best(other.document(), spec.path)
    apart = abs(score - other_score) if score is not None and other_score is not None else 0.0
    if label != other_label:
        return Comparison(True, "label", spec.path, apart)
    return Comparison(apart > spec.gap, "score" if apart > spec.gap else "", spec.path, apart)


def _best_of(value: object) -> tuple[str, float | None] | None:
    if isinstance(value, str):
        return value, None
    if isinstance(value, bool):
        return str(value).lower(), None
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list | dict):
        return _best_of(value[0])  # a batch of one
    if isinstance(value, list):
        scores = {str(place): score for place, score in enumerate(value)}
    elif isinstance(value, dict):
        scores = value
    else:
        return None
    numbers = {
        str(name): float(score)
        for name, score in scores.items()
        if isinstance(score, int | float) and not isinstance(score, bool)
    }
    if not numbers or len(numbers) != len(scores):
        return None
    # Of equal ones the first by name: the order of a document says nothing.
    name = min(numbers, key=lambda each: (-numbers[each], each))
    return name, numbers[name]
