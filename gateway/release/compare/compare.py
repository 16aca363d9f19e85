"""The two answers of a pair: do they differ, as the route understands it?"""

from __future__ import annotations

from collections.abc import Callable

from gateway.release.compare.answer import Answer, Comparison, Unreadable
from gateway.release.compare.documents import compare_documents
from gateway.release.compare.labels import compare_labels
from gateway.release.compare.spec import CompareSpec
from gateway.release.compare.texts import EVENTS, Distance, compare_texts, text_of
from gateway.release.compare.vectors import compare_vectors, vectors_in


def compare(
    primary: Answer, copy: Answer, spec: CompareSpec, distance: Distance | None = None
) -> Comparison:
    """Raises Unreadable when nothing can be said of this pair.

    A copy that failed where the client's answer did not differs: it is what users would have got.
    """
    if not primary.is_good:
        raise Unreadable("the client's own answer is no good one")
    if copy.failure:
        return Comparison(True, "failed", copy.failure, 1.0)
    if copy.status != primary.status:
        return Comparison(True, "status", str(copy.status), 1.0)
    if primary.digest == copy.digest and primary.size_bytes == copy.size_bytes:
        return Comparison(differs=False)
    return _COMPARATORS[spec.kind](primary, copy, spec, distance)


Comparator = Callable[[Answer, Answer, CompareSpec, Distance | None], Comparison]


def _auto(one: Answer, other: Answer, spec: CompareSpec, distance: Distance | None) -> Comparison:
    """By what the client's answer looks like; its media type alone says little about JSON."""
    if one.media_type in (EVENTS, "text/plain"):
        return compare_texts(one, other, spec, distance)
    try:
        document = one.document()
    except Unreadable:
        return _exact(one, other, spec, distance)
    for look, comparator in ((_has_vectors, _vector), (_has_text, compare_texts)):
        if look(one, document, spec):
            return comparator(one, other, spec, distance)
    return compare_documents(document, other.document(), spec)


def _exact(one: Answer, other: Answer, spec: CompareSpec, distance: Distance | None) -> Comparison:
    is_same = one.digest == other.digest and one.size_bytes == other.size_bytes
    return Comparison(not is_same, "" if is_same else "bytes", "", 0.0 if is_same else 1.0)


def _json(one: Answer, other: Answer, spec: CompareSpec, distance: Distance | None) -> Comparison:
    document = one.document()
    try:
        return compare_documents(document, other.document(), spec)
    except Unreadable:
        return Comparison(True, "type", "", 1.0)


def _label(one: Answer, other: Answer, spec: CompareSpec, distance: Distance | None) -> Comparison:
    return compare_labels(one, other, spec)


def _vector(one: Answer, other: Answer, spec: CompareSpec, distance: Distance | None) -> Comparison:
    return compare_vectors(one, other, spec)


def _has_vectors(answer: Answer, document: object, spec: CompareSpec) -> bool:
    try:
        return bool(vectors_in(document, spec.path))
    except Unreadable:
        return False


def _has_text(answer: Answer, document: object, spec: CompareSpec) -> bool:
    try:
        return bool(text_of(answer, spec.path))
    except Unreadable:
        return False


_COMPARATORS: dict[str, Comparator] = {
    "auto": _auto,
    "exact": _exact,
    "json": _json,
    "label": _label,
    "text": compare_texts,
    "vector": _vector,
}
