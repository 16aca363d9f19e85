"""A route as a document (`config/routes.toml`, or the body of a call) and what it makes of a state.

What a document names is set. What it leaves out stays, or goes when it is the whole truth
(`is_whole`), but for what people and releases move while the gateway runs: `stable`, `paused`,
`salt`, weights, and whether a version is retired. A value that means the same as the one that
stands is no change, however either was typed. `None` takes a field away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.config.suggest import nearest
from gateway.errors import Problem
from gateway.state.fields import FIELDS, TIMEOUTS, short
from gateway.state.raw import RouteState
from gateway.state.registry import Entry, entry_of, wrong_with_notes
from gateway.state.versions import ACTIVE, RETIRED, is_retired

LIVE = ("stable", "paused", "salt")
PARTS = ("versions", "weights", "rules")
FIELD_NAMES = (*LIVE, *(f for f in FIELDS if f not in LIVE), *(f"timeout_{t}" for t in TIMEOUTS))


@dataclass(frozen=True, slots=True)
class VersionDocument:
    """What is said of one version; None = nothing is said of that. No URLs = as they are."""

    urls: tuple[str, ...] = ()
    rewrite_model: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)  # a note that is None goes
    is_retired: bool | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What is said of one route; None = it shall not be there, absent = nothing is said of it."""

    fields: Mapping[str, str | None] = field(default_factory=dict)
    versions: Mapping[str, VersionDocument | None] = field(default_factory=dict)
    weights: Mapping[str, str] | None = None
    rules: tuple[str, ...] | None = None


def read_document(content: Mapping[str, Any]) -> tuple[Document, list[Problem]]:
    """The document and everything that cannot be understood of it, by field."""
    problems: list[Problem] = []
    fields: dict[str, str | None] = {}
    for name, value in content.items():
        if name in PARTS:
            continue
        if name not in FIELD_NAMES:
            problems.append(Problem(name[:64], f"is no field of a route{_meant(name)}"))
            continue
        text = _text(value)
        if text is None and value is not None:
            problems.append(
                Problem(name, "takes a text, a number, true, false, or a list of texts")
            )
        fields[name] = text
    versions = _versions(content.get("versions"), problems)
    weights = _weights(content.get("weights"), problems)
    rules = _rules(content.get("rules"), problems)
    return Document(fields, versions, weights, rules), problems


def merged(document: Document, state: RouteState, *, is_whole: bool = False) -> RouteState:
    """What becomes of a state; whether that is a valid route is for the contract to say."""
    weights = state.weights
    if document.weights is not None:
        weights = {
            name: _same_or(state.weights.get(name), text, float)
            for name, text in document.weights.items()
        }
    rules = state.rules
    if document.rules is not None:
        rules = _merged_rules(document.rules, state.rules)
    versions = _merged_versions(document, state, is_whole=is_whole)
    for name in state.versions.keys() - versions.keys():  # a weight of 0 keeps none of them
        if not weights.get(name, "").strip().strip("0."):
            weights = {other: text for other, text in weights.items() if other != name}
    return RouteState(_merged_fields(document, state, is_whole=is_whole), versions, weights, rules)


def taken_away(before: RouteState, after: RouteState) -> tuple[str, ...]:
    """The versions that get no traffic any more: gone, or retired."""
    retired = (
        name
        for name, text in after.versions.items()
        if is_retired(text) and not is_retired(before.versions.get(name, text))
    )
    return (*dropped_versions(before, after), *retired)


def dropped_versions(before: RouteState, after: RouteState) -> tuple[str, ...]:
    """The versions that are there no more."""
    return tuple(name for name in before.versions if name not in after.versions)


# Merging


def _merged_fields(document: Document, state: RouteState, *, is_whole: bool) -> dict[str, str]:
    named = document.fields
    left = {
        name: text
        for name, text in state.route.items()
        if name not in named and (not is_whole or name in LIVE)
    }
    given = {
        name: _same_or(state.route.get(name), text, _parser(name))
        for name, text in named.items()
        if text is not None
    }
    return {**left, **given}


def _merged_versions(document: Document, state: RouteState, *, is_whole: bool) -> dict[str, str]:
    named = document.versions
    left = {n: text for n, text in state.versions.items() if n not in named and not is_whole}
    given = {
        name: merged_version(one, state.versions.get(name), is_whole=is_whole)
        for name, one in named.items()
        if one is not None
    }
    return {**left, **given}


def merged_version(one: VersionDocument, text: str | None, *, is_whole: bool = False) -> str:
    """The entry of a version that stands as `text`, or not yet."""
    before = entry_of(text) if text is not None else Entry()
    kept, model = before.meta, before.rewrite_model
    if is_whole:
        kept = {name: value for name, value in before.meta.items() if name == "created"}
        model = ""
    meta = {**kept, **one.meta}
    after = Entry(
        urls=one.urls or before.urls,
        rewrite_model=model if one.rewrite_model is None else one.rewrite_model,
        meta={name: value for name, value in meta.items() if value is not None},
        is_retired=before.is_retired if one.is_retired is None else one.is_retired,
    )
    return text if text is not None and after == before else after.text()


def _merged_rules(wanted: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    known = {_canonical(text): text for text in before}
    return tuple(known.get(_canonical(text), text) for text in wanted)


def _canonical(rule: str) -> str:
    try:
        read = msgspec.json.decode(rule.encode())
        return msgspec.json.encode(read, order="deterministic").decode()
    except (msgspec.DecodeError, RecursionError):
        return rule


def _same_or(before: str | None, after: str, parse: Any) -> str:
    """The text that stands when it means the same."""
    if before is None or before == after:
        return after
    try:
        return before if parse(before.strip()) == parse(after.strip()) else after
    except ValueError:
        return after


def _parser(name: str) -> Any:
    if name.startswith("timeout_"):
        return float
    return FIELDS[name][1] if name in FIELDS else str


# Reading


def _text(value: object) -> str | None:
    """As an operator would type it into the store; None for what no field can hold."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return value.strip() if isinstance(value, str) else None


def number_text(number: float) -> str:
    if number != number or abs(number) == float("inf"):
        return str(number)
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _meant(name: str) -> str:
    like = nearest(name.lower(), [*FIELD_NAMES, *PARTS])
    return f"; did you mean {like}?" if like else ""


def _versions(content: object, problems: list[Problem]) -> dict[str, VersionDocument | None]:
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        problems.append(Problem("versions", "must be a table of versions by their names"))
        return {}
    found: dict[str, VersionDocument | None] = {}
    for name, value in content.items():
        where = f"versions.{str(name)[:64]}"
        if value is None:
            found[name] = None
            continue
        one = _version(value, where, problems)
        if one is not None:
            found[name] = one
    return found


def _version(value: object, where: str, problems: list[Problem]) -> VersionDocument | None:
    parts: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"urls": value}
    urls, model = parts.pop("urls", []), parts.pop("rewrite_model", None)
    state = parts.pop("state", None)
    texts = urls.split() if isinstance(urls, str) else urls
    if not isinstance(texts, list) or not all(isinstance(url, str) for url in texts):
        problems.append(Problem(f"{where}.urls", "must be a URL or a list of URLs"))
        return None
    if not isinstance(model, str | None):
        problems.append(Problem(f"{where}.rewrite_model", "must be the name of a model"))
        return None
    if state not in (None, ACTIVE, RETIRED):
        what = f"{short(str(state))} is neither {ACTIVE} nor {RETIRED}"
        problems.append(Problem(f"{where}.state", what))
        return None
    wrong = wrong_with_notes({name: note for name, note in parts.items() if note is not None})
    problems += [Problem(f"{where}.{name}", what) for name, what in wrong.items()]
    is_retired = None if state is None else state == RETIRED
    return VersionDocument(tuple(texts), model, parts, is_retired)


def _weights(content: object, problems: list[Problem]) -> dict[str, str] | None:
    if content is None:
        return None
    if not isinstance(content, Mapping):
        problems.append(Problem("weights", "must be a table of percents by version"))
        return None
    weights: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            problems.append(Problem(f"weights.{str(name)[:64]}", "must be a percent from 0 to 100"))
        else:
            weights[name] = _text(value) or ""
    return weights


def _rules(content: object, problems: list[Problem]) -> tuple[str, ...] | None:
    if content is None:
        return None
    if not isinstance(content, list):
        problems.append(Problem("rules", "must be a list of rules"))
        return None
    rules: list[str] = []
    for place, rule in enumerate(content):
        if isinstance(rule, Mapping):
            rules.append(msgspec.json.encode(rule).decode())
        else:
            problems.append(Problem(f"rules[{place}]", "must be an object with when and version"))
    return tuple(rules)
