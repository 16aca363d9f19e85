"""What a setting takes: in words, out of a line of text, and whether a value will do.

The bounds themselves stand once, in the annotated types of `settings.py`; msgspec judges by them.
"""

from __future__ import annotations

import datetime
import re
import types
import typing
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_SHOWN_CHARACTERS = 60


def words(hint: object) -> str:
    """Says what a setting takes, fit to stand after "must be"."""
    bare, meta = _peel(hint)
    origin = typing.get_origin(bare)
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(words(part) for part in typing.get_args(bare))
    if origin is Literal:
        values = [str(value) for value in typing.get_args(bare)]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if origin is tuple:
        return "a list of texts"
    if bare is int:
        return f"a whole number{_bounds(meta)}"
    if bare is float:
        return f"a number{_bounds(meta)}"
    return {bool: "true or false", str: "text", Secret: "text, kept secret"}[
        typing.cast(type, bare)
    ]


def from_text(hint: object, text: str) -> object:
    """Reads a variable or flag; gives the text itself back when it cannot be such a value."""
    bare, _ = _peel(hint)
    origin = typing.get_origin(bare)
    plain = text.strip()
    if origin in (typing.Union, types.UnionType):
        read = (from_text(part, text) for part in typing.get_args(bare))
        return next((value for value in read if value != text), text)
    if origin is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if bare is bool:
        return _BOOLEANS.get(plain.lower(), text)
    if bare is int and _WHOLE.fullmatch(plain):
        return int(plain)
    if bare is float and _NUMBER.fullmatch(plain):
        return float(plain)
    return plain if origin is Literal else text


def accept(hint: object, value: object) -> object:
    """Gives back what a setting is to hold; ValueError, without the value, when it will not do."""
    if _peel(hint)[0] is Secret:
        if not isinstance(value, str):
            raise ValueError("must be text")
        return Secret(value)
    try:
        accepted: object = msgspec.convert(value, hint)
    except msgspec.ValidationError:
        raise ValueError(f"must be {words(hint)}") from None
    return accepted


def shown(value: object) -> str:
    """Names a refused value in a message; nothing that may hold credentials is repeated."""
    if isinstance(value, str):
        if "@" in value or "://" in value:
            return "that text"
        return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "...")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "that list"
    if isinstance(value, datetime.date | datetime.time):
        return "a date or time"
    return "a table"


def _peel(hint: object) -> tuple[object, tuple[Meta, ...]]:
    if typing.get_origin(hint) is not Annotated:
        return hint, ()
    bare, *metas = typing.get_args(hint)
    return bare, tuple(meta for meta in metas if isinstance(meta, Meta))


def _bounds(metas: tuple[Meta, ...]) -> str:
    for meta in metas:
        if meta.ge is not None and meta.le is not None:
            return f" from {meta.ge} to {meta.le}"
        if meta.gt is not None and meta.le is not None:
            return f" above {meta.gt}, at most {meta.le}"
        if meta.gt is not None:
            return f" above {meta.gt}"
        if meta.ge is not None:
            return f", at least {meta.ge}"
        if meta.le is not None:
            return f", at most {meta.le}"
    return ""
