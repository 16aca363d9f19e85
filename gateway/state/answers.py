"""What writes with an Idempotency-Key were answered, so that none of them is done twice.

A call is reserved before it is done, and its answer kept for a day. A call that was reserved and
never answered (the gateway was killed in between) stays reserved: whoever repeats it is told to
look, since nobody knows whether it was done. The store holds a digest of the key, never the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import msgspec

from gateway.errors import ConflictError, RefusedError, StoreError
from gateway.state.keys import Keys
from gateway.state.link import Link

KEEP_SECONDS = 86_400
MOST_ANSWERS = 5_000  # the oldest make room
MOST_ANSWER_BYTES = 16 * 1024

# KEYS 1 answers, 2 when they may be forgotten
# ARGV 1 digest of the key, 2 digest of the call, 3 seconds to keep it, 4 most answers
# Answer: what is known of the key, or false: it is reserved now. An error when a key is of another
# type.
RESERVE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1])
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)
local known = redis.call('HGET', KEYS[1], ARGV[1])
local due = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
if known and due > now then return known end
local over = redis.call('ZCARD', KEYS[2]) - #gone - ARGV[4] + 1
if over > 0 then
  for _, name in ipairs(redis.call('ZRANGE', KEYS[2], #gone, #gone + over - 1)) do
    gone[#gone + 1] = name
  end
end
for _, name in ipairs(gone) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
return false
"""


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """What is kept of a call; no status = it was begun, and its end is not known."""

    call: str
    status: int = 0
    etag: str = ""
    body: str = ""


class Answers:
    """Keeps answers in the store; they outlive the control process and are seen by all gateways."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def reserve(self, key: str, call: str) -> Kept | None:
        """The answer that the call with this key got; None = it is ours to do now.

        RefusedError when the key was used for another call, ConflictError when its end is unknown.
        """
        wanted = Kept(_digest(call))
        reply = await (await self._link()).script(
            RESERVE,
            [self._keys.answers, self._keys.answers_due],
            [_digest(key), msgspec.json.encode(wanted), KEEP_SECONDS, MOST_ANSWERS],
        )
        if not isinstance(reply, bytes):
            return None
        try:
            known = msgspec.json.decode(reply, type=Kept)
        except msgspec.DecodeError:
            raise StoreError(
                f"{self._keys.answers} holds what Graygate did not write; remove it with: "
                f"DEL {self._keys.answers}"
            ) from None
        if known.call != wanted.call:
            raise RefusedError("This Idempotency-Key was used for another call; take a new one.")
        if not known.status:
            raise ConflictError(
                "A call with this Idempotency-Key was begun and has no answer yet; it may have "
                "been done: look at the history before you repeat it with a new key."
            )
        return known

    async def keep(self, key: str, call: str, status: int, etag: str, body: bytes) -> None:
        """Remember the answer; one that is too long only as far as that it was given."""
        if len(body) > MOST_ANSWER_BYTES:
            body = b'{"detail": "This was done; the answer was too long to be kept."}'
        kept = Kept(_digest(call), status, etag, body.decode(errors="replace"))
        link = await self._link()
        await link.call("HSET", self._keys.answers, _digest(key), msgspec.json.encode(kept))

    async def release(self, key: str) -> None:
        """Nothing was done: the key may be used again."""
        link, name = await self._link(), _digest(key)
        await link.pipeline(
            [("HDEL", self._keys.answers, name), ("ZREM", self._keys.answers_due, name)]
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
