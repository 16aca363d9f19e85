"""Places in a JSON document, named by dots: `choices.0.message.content`, `data.*.embedding`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Parts = tuple[str, ...]


def split(path: str) -> Parts:
    return tuple(path.split("."))


def find(document: object, path: Parts) -> Iterator[object]:
    """Everything at this path; `*` is every field or place."""
    if not path:
        yield document
        return
    name, rest = path[0], path[1:]
    if isinstance(document, dict):
        chosen = (
            list(document.values()) if name == "*" else [document[name]] if name in document else []
        )
    elif isinstance(document, list):
        chosen = _of_list(document, name)
    else:
        return
    for value in chosen:
        yield from find(value, rest)


def _of_dict(fields: dict[str, object], name: str) -> list[object]:
    if name == "*":
        return list(fields.values())
    return [fields[name]] if name in fields else []


def _of_list(values: list[object], name: str) -> list[object]:
    if name == "*":
        return values
    if name.isdecimal() and len(name) < 10 and int(name) < len(values):
        return [values[int(name)]]
    return []


def is_named(place: Sequence[str], patterns: Sequence[Parts]) -> bool:
    """Whether one of the patterns names this place or one that it lies in."""
    return any(
        len(pattern) <= len(place)
        and all(want in ("*", have) for want, have in zip(pattern, place, strict=False))
        for pattern in patterns
    )
