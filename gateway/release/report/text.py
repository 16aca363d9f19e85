"""Text that is safe inside HTML and SVG, wherever it came from."""

from __future__ import annotations

import html
import re

# Not allowed in XML at all, even escaped; a lone surrogate cannot be written as UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def safe(text: str) -> str:
    """The text with everything escaped that could be markup, in elements and in attributes."""
    return html.escape(_FORBIDDEN.sub("\ufffd", text), quote=True)
