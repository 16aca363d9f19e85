"""What the store's user must be allowed to do, and which of it is denied.

Nothing is done to find out: commands are sent after MULTI, where the store judges them and only
puts them aside, and the connection is closed instead of EXEC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import StoreDenied, StoreError
from gateway.state.keys import Keys
from gateway.state.link import Link

FOLLOWING = "following the store"
RECORDING = "writing, recording and leading"
PUSHES = "hearing of changes at once"
RELEASES = "releases and measurements"
REPEATS = "Idempotency-Key"
SEGMENTS = "listing all segments"
IMPORTS = "importing long lists quickly"

Words = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Right:
    """One command, as ACL SETUSER names it, what it is for, and how it is tried."""

    name: str
    purpose: str
    words: Words  # KEY stands for a key of ours


@dataclass(frozen=True, slots=True)
class Rights:
    """What is denied to the user; `why_unknown` when that could not be found out."""

    denied: tuple[Right, ...] = ()
    has_keys: bool = True  # may touch keys under our prefix
    why_unknown: str = ""


KEY = "KEY"

# Tried as they are: they change nothing, and some are not taken after MULTI.
_AT_ONCE = (
    Right("role", FOLLOWING, ("ROLE",)),
    Right("ping", FOLLOWING, ("PING",)),
    Right("client|tracking", PUSHES, ("CLIENT", "TRACKING", "OFF")),
)
_PUT_ASIDE = (
    Right("hgetall", FOLLOWING, ("HGETALL", KEY)),
    Right("hget", FOLLOWING, ("HGET", KEY, "x")),
    Right("hmget", FOLLOWING, ("HMGET", KEY, "x")),
    Right("lrange", FOLLOWING, ("LRANGE", KEY, 0, 0)),
    Right("smembers", FOLLOWING, ("SMEMBERS", KEY)),
    Right("sismember", FOLLOWING, ("SISMEMBER", KEY, "x")),
    Right("scard", FOLLOWING, ("SCARD", KEY)),
    Right("sscan", FOLLOWING, ("SSCAN", KEY, 0)),
    Right("srandmember", FOLLOWING, ("SRANDMEMBER", KEY, 1)),
    Right("xrange", FOLLOWING, ("XRANGE", KEY, "-", "+", "COUNT", 1)),
    Right("xrevrange", FOLLOWING, ("XREVRANGE", KEY, "+", "-", "COUNT", 1)),
    Right("xinfo", FOLLOWING, ("XINFO", "STREAM", KEY)),
    Right("type", FOLLOWING, ("TYPE", KEY)),
    Right("time", RECORDING, ("TIME",)),
    Right("get", RECORDING, ("GET", KEY)),
    Right("set", RECORDING, ("SET", KEY, "x")),
    Right("sadd", RECORDING, ("SADD", KEY, "x")),
    Right("srem", RECORDING, ("SREM", KEY, "x")),
    Right("hset", RECORDING, ("HSET", KEY, "x", "x")),
    Right("hdel", RECORDING, ("HDEL", KEY, "x")),
    Right("del", RECORDING, ("DEL", KEY)),
    Right("rpush", RECORDING, ("RPUSH", KEY, "x")),
    Right("xadd", RECORDING, ("XADD", KEY, "*", "x", "x")),
    Right("eval", RECORDING, ("EVAL", "return 1", 0)),
    Right("evalsha", RECORDING, ("EVALSHA", "0" * 40, 0)),
    Right("smismember", IMPORTS, ("SMISMEMBER", KEY, "x")),
    Right("scan", SEGMENTS, ("SCAN", 0, "COUNT", 1)),
    Right("xread", RELEASES, ("XREAD", "COUNT", 1, "STREAMS", KEY, 0)),
    Right("expire", RELEASES, ("EXPIRE", KEY, 1)),
    Right("llen", RELEASES, ("LLEN", KEY)),
    Right("ltrim", RELEASES, ("LTRIM", KEY, 0, 0)),
    Right("zadd", REPEATS, ("ZADD", KEY, 1, "x")),
    Right("zcard", REPEATS, ("ZCARD", KEY)),
    Right("zrange", REPEATS, ("ZRANGE", KEY, 0, 0)),
    Right("zrangebyscore", REPEATS, ("ZRANGEBYSCORE", KEY, 0, 0)),
    Right("zrem", REPEATS, ("ZREM", KEY, "x")),
    Right("zscore", REPEATS, ("ZSCORE", KEY, "x")),
)
ALL = (*_AT_ONCE, *_PUT_ASIDE)


async def try_rights(link: Link, keys: Keys) -> Rights:
    """What this link's user may not do. The link is of no use afterwards, and must be closed."""
    replies = await link.pipeline([right.words for right in _AT_ONCE])
    tried = list(zip(_AT_ONCE, replies, strict=True))
    put_aside = [_with_key(right, keys.routes) for right in _PUT_ASIDE]
    begun, *replies = await link.pipeline([("MULTI",), *put_aside])
    if isinstance(begun, StoreError):
        return Rights(why_unknown=str(begun))
    tried += zip(_PUT_ASIDE, replies, strict=True)
    denied = [(right, reply) for right, reply in tried if isinstance(reply, StoreDenied)]
    return Rights(
        denied=tuple(right for right, reply in denied if not _is_about_keys(reply)),
        has_keys=not any(_is_about_keys(reply) for _, reply in denied),
    )


def _with_key(right: Right, key: str) -> Words:
    return tuple(key if word == KEY else word for word in right.words)


def _is_about_keys(reply: StoreError) -> bool:
    """The store says `No permissions to access a key`, or names the command."""
    return "access a key" in reply.reply or "keys used as arguments" in reply.reply


def acl_line(user: str, rights: Rights, prefix: str) -> str:
    """What an admin of the store types so that nothing is denied any more."""
    words: Sequence[str] = [f"+{right.name}" for right in rights.denied]
    pattern = [] if rights.has_keys else [f"~{prefix}*"]
    return " ".join(["ACL SETUSER", user or "default", *pattern, *words])
