"""The registry of a route's versions: adding, changing, retiring, removing, and what stands in the
way of that.

A version that is used by anything stays: its users would silently be moved. The whitelist and the
release are looked at after the route was read, and the write is bound to that reading: whoever adds
an id or begins a release through us in between makes it a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import InUseError, NotFoundError, RefusedError, StoreError
from gateway.routing.suggest import suggest
from gateway.state.keys import NAME_RULE, Keys, Part, is_name
from gateway.state.link import Link
from gateway.state.raw import RouteState
from gateway.state.reader import of_other_type
from gateway.state.versions import RETIRED, is_retired
from gateway.state.write import Require

MAX_NOTE_LETTERS = 4000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A version as people write it down: where it answers, and what they noted about it."""

    urls: tuple[str, ...] = ()
    rewrite_model: str = ""
    meta: dict[str, Any] = {}
    is_retired: bool = False

    def text(self) -> str:
        """As it stands in the store: bare URLs when there is nothing else to say."""
        if not (self.rewrite_model or self.meta or self.is_retired):
            return " ".join(self.urls)
        parts: dict[str, object] = {"urls": list(self.urls)}
        if self.rewrite_model:
            parts["rewrite_model"] = self.rewrite_model
        if self.is_retired:
            parts["state"] = RETIRED
        return msgspec.json.encode({**parts, **self.meta}).decode()


def entry_of(text: str) -> Entry:
    """What stands in the store, as far as it can be read; the contract has judged it or will."""
    plain = text.strip(" \t\r\n")
    if not plain.startswith("{"):
        return Entry(urls=tuple(plain.split()))
    try:
        meta = msgspec.json.decode(plain.encode(), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise RefusedError(
            "the version stands in the store as broken JSON; mend it there"
        ) from None
    urls = meta.pop("urls", ())
    model = meta.pop("rewrite_model", "")
    meta.pop("state", None)
    return Entry(
        urls=tuple(urls.split() if isinstance(urls, str) else map(str, urls)),
        rewrite_model=str(model),
        meta=meta,
        is_retired=is_retired(plain),
    )


_TEXTS = ("model_id", "digest", "notes", "created")
_KEPT_APART = ("urls", "rewrite_model", "state")


def wrong_with_notes(meta: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with the notes that have a meaning to us, by their names."""
    wrong = {name: f"{name} has a place of its own" for name in _KEPT_APART if name in meta}
    for name in _TEXTS:
        value = meta.get(name, "")
        if not isinstance(value, str) or len(value) > MAX_NOTE_LETTERS:
            wrong[name] = f"must be a text of at most {MAX_NOTE_LETTERS} letters"
    scores = meta.get("scores", {})
    if not isinstance(scores, Mapping) or not all(map(_is_number, scores.values())):
        wrong["scores"] = 'must name numbers, as in {"mmlu": 0.71}'
    return wrong


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def known(state: RouteState, version: str) -> Entry:
    """The entry of a version that must be there."""
    if version not in state.versions:
        names = state.versions
        hint = suggest(version, names)
        raise NotFoundError(f"{version[:64]!a} is no version of this route.{hint}")
    return entry_of(state.versions[version])


def added(state: RouteState, version: str, entry: Entry) -> RouteState:
    if not is_name(version):
        raise RefusedError(f"{version[:64]!a} is no version name: use {NAME_RULE}.")
    if version in state.versions:
        how = "restore" if is_retired(state.versions[version]) else "set"
        raise InUseError(
            f"There is a version {version} already; change it with: graygate version {how}"
        )
    return with_entry(state, version, entry)


def with_entry(state: RouteState, version: str, entry: Entry) -> RouteState:
    return msgspec.structs.replace(state, versions={**state.versions, version: entry.text()})


def retired(state: RouteState, version: str) -> RouteState:
    """The same with the version out of traffic, and without a weight of 0 that it had."""
    entry = msgspec.structs.replace(known(state, version), is_retired=True)
    return with_entry(_without_weight(state, version), version, entry)


def restored(state: RouteState, version: str) -> RouteState:
    entry = msgspec.structs.replace(known(state, version), is_retired=False)
    return with_entry(state, version, entry)


def removed(state: RouteState, version: str) -> RouteState:
    known(state, version)
    left = {name: text for name, text in state.versions.items() if name != version}
    return msgspec.structs.replace(_without_weight(state, version), versions=left)


def _without_weight(state: RouteState, version: str) -> RouteState:
    left = {name: text for name, text in state.weights.items() if name != version}
    return msgspec.structs.replace(state, weights=left)


def users(state: RouteState, version: str) -> list[str]:
    """What of the small keys uses a version, in words."""
    used: list[str] = []
    if state.route.get("stable", "").strip() == version:
        used.append("it is stable")
    weight = state.weights.get(version, "").strip()
    if weight.strip("0.") and state.route.get("stable", "").strip() != version:
        used.append(f"it has a weight of {weight} %")
    rules = [str(place) for place, text in enumerate(state.rules) if version in _targets(text)]
    if rules:
        used.append(f"rule {', '.join(rules)} sends requests there")
    if state.route.get("mirror", "").strip() == version:
        used.append("it gets copies of requests (mirror)")
    return used


def on_whitelist(number: int) -> str:
    return f"its whitelist holds {number} {'id' if number == 1 else 'ids'}"


def _targets(rule: str) -> set[str]:
    try:
        read = msgspec.json.decode(rule.encode(), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return set()
    weights = read.get("weights")
    return {str(read.get("version")), *(weights if isinstance(weights, dict) else ())}


class _Moving(msgspec.Struct):
    """What of a running release matters here."""

    candidate: str = ""
    stable: str = ""


def must_be_unused(keys: Keys, route: str, *versions: str) -> Require:
    """A condition of a change: none of these versions is used by anything."""

    async def require(link: Link, before: RouteState, after: RouteState) -> None:
        for version in versions:
            used = users(before, version) + await _users_elsewhere(link, keys, route, version)
            if used:
                raise InUseError(f"{version} of {route} is in use: {'; '.join(used)}.")

    return require


async def _users_elsewhere(link: Link, keys: Keys, route: str, version: str) -> list[str]:
    listed = keys.whitelist(route, version)
    release = keys.part(route, Part.RELEASE)
    replies = await link.pipeline([("SCARD", listed), ("HMGET", release, "running", "status")])
    for reply, key, kind in zip(replies, (listed, release), ("set", "hash"), strict=True):
        if isinstance(reply, StoreError):
            raise of_other_type(reply, key, kind)
    count, moving = replies
    used = [on_whitelist(count)] if isinstance(count, int) and count else []
    if isinstance(moving, list) and moving[0] == b"1" and _is_moved(moving[1], version):
        used.append("a release is running with it")
    return used


def _is_moved(status: object, version: str) -> bool:
    try:
        found = msgspec.json.decode(status if isinstance(status, bytes) else b"", type=_Moving)
    except msgspec.DecodeError:
        return True  # of a release that nobody can read nothing is taken away
    return version in (found.candidate, found.stable)
