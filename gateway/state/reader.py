"""Reading the small keys: which commands to send, and what their replies mean.

A route is read in one MULTI, so that an operator's own MULTI is seen whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from gateway.errors import StoreDenied, StoreError
from gateway.state.contract import MAX_RULES
from gateway.state.keys import NAME_RULE, Keys, Part, is_name
from gateway.state.raw import Hash, RawRoute, Unreadable, number
from gateway.state.snapshot import Refusal

MAX_ROUTES = 5000  # a look at so many takes about as long as we wait for the next look
MAX_FINDINGS = 20  # of the set of routes: a script gone wild must not fill the log
ROUTES_PER_TRANSACTION = 50  # a reading of a thousand routes must let others run in between

Command = tuple[str | bytes | int, ...]


class Transactions(Protocol):
    """What reading needs of a link: all commands at one moment, error replies as values."""

    async def transaction(self, commands: Sequence[Command]) -> list[object]: ...


async def read_route_names(
    link: Transactions, keys: Keys
) -> tuple[frozenset[str] | None, list[Refusal]]:
    """The names in the set of routes (None when it cannot be read), and what is wrong with it."""
    [reply] = await link.transaction([("SMEMBERS", keys.routes)])
    if isinstance(reply, StoreError):
        problem = unreadable(reply, keys.routes, "set")
        return None, [Refusal("", keys.routes, problem.reason, problem.text)]
    names: set[str] = set()
    refused: list[Refusal] = []
    if len(members := _members(reply)) > MAX_ROUTES:
        text = (
            f"the set has {len(members)} names, more than {MAX_ROUTES}; the routes in force stay. "
            f"Take out what is no route with: SREM {keys.routes} NAME"
        )
        return None, [Refusal("", keys.routes, "too_large", text)]
    for member in members:
        name = member[:200].decode(errors="replace")
        if is_name(name):
            names.add(name)
        elif len(refused) < MAX_FINDINGS:
            text = f"{name!a} is no route name: use {NAME_RULE}"
            refused.append(Refusal("", keys.routes, "bad_value", text))
    return frozenset(names), refused


async def read_routes(link: Transactions, keys: Keys, names: Iterable[str]) -> dict[str, RawRoute]:
    """The small keys of these routes, each route as of one moment."""
    wanted = sorted(names)
    routes: dict[str, RawRoute] = {}
    for start in range(0, len(wanted), ROUTES_PER_TRANSACTION):
        part = wanted[start : start + ROUTES_PER_TRANSACTION]
        commands = [command for name in part for command in route_commands(keys, name)]
        replies = await link.transaction(commands)
        step = len(replies) // len(part)
        for position, name in enumerate(part):
            own = replies[position * step : (position + 1) * step]
            routes[name] = parse_route(keys, name, own)
    return routes


def route_commands(keys: Keys, name: str) -> list[Command]:
    return [
        ("HGETALL", keys.route(name)),
        ("HGETALL", keys.part(name, Part.VERSIONS)),
        ("HGETALL", keys.part(name, Part.WEIGHTS)),
        ("LRANGE", keys.part(name, Part.RULES), 0, MAX_RULES),
        ("HGET", keys.part(name, Part.RELEASE), "id"),
        ("XREVRANGE", keys.history(name), "+", "-", "COUNT", 1),
    ]


def parse_route(keys: Keys, name: str, replies: Sequence[object]) -> RawRoute:
    route, versions, weights, rules, release_id, history = replies
    head, problem = _head(history, keys.history(name))
    return RawRoute(
        name=name,
        route=_hash(route, keys.route(name)),
        versions=_hash(versions, keys.part(name, Part.VERSIONS)),
        weights=_hash(weights, keys.part(name, Part.WEIGHTS)),
        rules=_list(rules, keys.part(name, Part.RULES)),
        release_id=_release_id(release_id, keys.part(name, Part.RELEASE)),
        revision=int(head.get(b"id", b"0")),
        recorded_at_ms=int(head.get(b"at", b"0")),
        recorded_print=head.get(b"print", b"").decode(errors="replace"),
        is_deleted=head.get(b"op") == b"delete",
        has_history=bool(head),
        history_problem=problem,
    )


def _head(reply: object, key: str) -> tuple[dict[bytes, bytes], Unreadable | None]:
    """The newest entry of a history, with its revision as `id`; empty when there is none."""
    if isinstance(reply, StoreError):
        return {}, unreadable(reply, key, "stream")
    if not isinstance(reply, list) or not reply:
        return {}, None
    entry_id, pairs = reply[0]
    head = dict(zip(pairs[::2], pairs[1::2], strict=True))
    head[b"id"] = entry_id.partition(b"-")[0]
    if number(head[b"id"]) is None:
        text = f"its newest number leaves no room for another; begin a new one with: DEL {key}"
        return {}, Unreadable("bad_value", text)
    if number(head.get(b"at", b"")) is None or b"print" not in head:
        text = f"the newest entry was not written by Graygate; remove it with: XDEL {key} "
        return {}, Unreadable("bad_value", text + entry_id.decode(errors="replace"))
    return head, None


def _release_id(reply: object, key: str) -> str | Unreadable:
    if isinstance(reply, StoreError):
        return unreadable(reply, key, "hash")
    return reply[:128].decode(errors="replace") if isinstance(reply, bytes) else ""


def _hash(reply: object, key: str) -> Hash | Unreadable:
    if isinstance(reply, StoreError):
        return unreadable(reply, key, "hash")
    if isinstance(reply, Mapping):
        return dict(reply)
    flat = reply if isinstance(reply, list) else []
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _list(reply: object, key: str) -> tuple[bytes, ...] | Unreadable:
    if isinstance(reply, StoreError):
        return unreadable(reply, key, "list")
    return tuple(reply) if isinstance(reply, list) else ()


def _members(reply: object) -> list[bytes]:
    return sorted(reply) if isinstance(reply, list | set | frozenset) else []


def unreadable(error: StoreError, key: str, kind: str) -> Unreadable:
    if isinstance(error, StoreDenied):
        return Unreadable("not_readable", f"the store's user may not read {key}: {error}")
    if "WRONGTYPE" in str(error):
        return Unreadable(
            "wrong_type",
            f"is not a {kind}; look at it with TYPE {key}, then remove it with: DEL {key}",
        )
    return Unreadable("not_readable", f"{key} cannot be read: {error}")


def of_other_type(error: StoreError, key: str, kind: str) -> StoreError:
    """The same error; for a key of a wrong type one that names the key and says what to do."""
    wrong = unreadable(error, key, kind)
    is_wrong_type = wrong.reason == "wrong_type"
    return StoreError(f"{key} {wrong.text}", error.reply) if is_wrong_type else error
