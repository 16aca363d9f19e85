"""Text that must never be printed."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Secret:
    """Holds a password, token or key; only `reveal()` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"

    __str__ = __repr__


def secrets_in(settings: msgspec.Struct) -> Iterator[Secret]:
    """All secrets that settings hold, in whatever section."""
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Secret):
                yield one
            elif isinstance(one, msgspec.Struct):
                yield from secrets_in(one)
