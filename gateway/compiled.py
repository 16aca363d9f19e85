"""Whether the modules that carry requests are compiled. Their sources are the same either way."""

from __future__ import annotations

from importlib.util import find_spec

# Holds the machine code of all of them; made by GRAYGATE_COMPILE=1, see hatch_build.py.
_LIBRARY = "gateway.compiled__mypyc"


def build() -> str:
    """In one word, for operators: "compiled" or "pure"."""
    return "pure" if find_spec(_LIBRARY) is None else "compiled"
