"""Of two answers that differ: the place where they begin to, as far as others may see it."""

from __future__ import annotations

from collections.abc import Callable

from gateway.release.compare.answer import Answer, Unreadable

MOST_BYTES = 600  # of each side
_BEFORE = 200  # characters of what both have in common

Redact = Callable[[str], str]


def excerpts(one: Answer, other: Answer, redact: Redact) -> tuple[str, str]:
    """Both sides around the first difference; where a text was cut stands an ellipsis.

    Secrets are taken out of the whole before anything is cut: half a secret looks like none.
    """
    texts = [redact(_text(each)) for each in (one, other)]
    start = max(_first_difference(*texts) - _BEFORE, 0)
    return _cut(texts[0], start), _cut(texts[1], start)


def _text(answer: Answer) -> str:
    try:
        content = answer.content()
    except Unreadable:
        if answer.content_encoding.strip().lower() not in ("", "identity"):
            return ""
        content = answer.body
    return content.decode(errors="replace")


def _first_difference(one: str, other: str) -> int:
    """By halving: comparing slices is quick, comparing characters is not."""
    same, differs = 0, min(len(one), len(other))
    while same < differs:
        middle = (same + differs + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            differs = middle - 1
    return same


def _cut(text: str, start: int) -> str:
    begun = "..." if start else ""
    room = MOST_BYTES - len(begun) - 3
    data = text[start : start + room].encode(errors="replace")
    piece = data[:room].decode(errors="ignore")
    is_whole = start + len(piece) >= len(text)
    return f"{begun}{piece}{'' if is_whole else '...'}"
