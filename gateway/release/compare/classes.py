"""What class an answer belongs to, for comparing distributions: label, length, why it ended."""

from __future__ import annotations

from gateway.release.compare.answer import Answer, Unreadable
from gateway.release.compare.labels import best
from gateway.release.compare.paths import find, split
from gateway.release.compare.spec import CompareSpec
from gateway.release.compare.texts import text_of

_MAX_NAME = 40
_REASONS = ("choices.0.finish_reason", "stop_reason", "done_reason")


def classes_of(answer: Answer, spec: CompareSpec) -> dict[str, str]:
    """By kind of class; kinds of which nothing can be said are left out."""
    found = {}
    try:
        if spec.kind == "label":
            found["label"] = best(answer.document(), spec.path)[0][:_MAX_NAME]
            return found
        found["length"] = _length(len(text_of(answer, spec.path)))
        for path in _REASONS:
            for reason in find(answer.document(), split(path)):
                if isinstance(reason, str):
                    found["finish"] = reason[:_MAX_NAME]
                    return found
    except Unreadable:
        pass
    return found


def _length(characters: int) -> str:
    """By powers of two: some ten classes, whatever the model."""
    return f"{characters.bit_length():02d}"
