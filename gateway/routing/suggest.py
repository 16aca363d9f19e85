"""A hint for a mistyped word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """` Did you mean header?`, or the list of what is known; starts with a space."""
    names = list(known)
    if not names:
        return " There is none yet."
    close = difflib.get_close_matches(word.lower(), names, n=1)
    return f" Did you mean {close[0]}?" if close else f" Known are: {', '.join(names)}."
