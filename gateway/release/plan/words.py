"""What a value of a plan must be: judged by the type that `plan.py` gives it, and said in words."""

from __future__ import annotations

import math
import types
import typing
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.config import kinds
from gateway.release.plan.duration import MAX_SECONDS, seconds_of
from gateway.release.plan.plan import IS_DURATION, Name, TimeOfDay, Zone

_NAME_RULE = "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"


def accept(hint: object, value: object) -> object:
    """The value as the plan holds it; ValueError, without the value, when it will not do."""
    if is_duration(hint):
        try:
            return seconds_of(value)
        except ValueError:
            raise ValueError(f"must be {words(hint)}") from None
    if isinstance(value, float) and not math.isfinite(value):  # no bound of msgspec refuses a nan
        raise ValueError(f"must be {words(hint)}")
    try:
        accepted: object = msgspec.convert(value, hint)
    except msgspec.ValidationError:
        raise ValueError(f"must be {words(hint)}") from None
    return accepted


def words(hint: object) -> str:
    """Says what a field takes, fit to stand after "must be"."""
    plain = without_none(hint)
    if is_duration(plain):
        return f'a duration such as "90s", "5m", "1h30m" or "7d", at most {MAX_SECONDS // 86400}d'
    if _bare(plain) is datetime:
        return "a date and time with its offset, such as 2026-12-20T00:00:00Z"
    if typing.get_origin(_bare(plain)) is tuple:
        item = typing.get_args(_bare(plain))[0]
        if typing.get_origin(_bare(item)) is Literal:
            return f"a list of {', '.join(map(str, typing.get_args(_bare(item))))}"
        return f"a list of {_at_most(plain)}names"
    if typing.get_origin(_bare(plain)) is Literal:
        return f"one of {', '.join(filter(None, typing.get_args(_bare(plain))))}"
    if _bare(plain) is str:
        return _patterns(plain)
    return kinds.words(plain)


def is_duration(hint: object) -> bool:
    """Whether the field is a number of seconds that may be written as "5m"."""
    return any(bool(meta.extra and meta.extra.get(IS_DURATION)) for meta in _metas(hint))


def without_none(hint: object) -> object:
    """`X | None` as X: what is not given is not written."""
    bare = _bare(hint)
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(bare) if part is not type(None)]
        return parts[0] if len(parts) == 1 else hint
    return hint


def _patterns(hint: object) -> str:
    patterns = {meta.pattern for meta in _metas(hint)}
    for known, told in (
        (Name, f"a name: {_NAME_RULE}"),
        (TimeOfDay, 'a time of day such as "09:30"'),
        (Zone, 'UTC, an offset such as "+02:00", or a time zone such as "Europe/Berlin"'),
    ):
        if _metas(known)[0].pattern in patterns:
            return told
    limit = _at_most(hint)
    return f"text of {limit}characters" if limit else "text"


def _at_most(hint: object) -> str:
    limits = (meta.max_length for meta in _metas(hint) if meta.max_length is not None)
    limit = next(limits, None)
    return "" if limit is None else f"at most {limit} "


def _bare(hint: object) -> object:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _metas(hint: object) -> tuple[Meta, ...]:
    if typing.get_origin(hint) is not Annotated:
        return ()
    return tuple(meta for meta in typing.get_args(hint)[1:] if isinstance(meta, Meta))
