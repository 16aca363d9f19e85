"""What was refused, and what was done to tokens: a bounded stream, chained like a history.

Refusals are noted while a request is answered and written soon after, so that nobody waits for the
store. What cannot be written is kept for a while; what is dropped after that is counted and told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import StoreError
from gateway.state.chain import Verifier
from gateway.state.history import Calls
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.reader import of_other_type
from gateway.state.script import AUDIT

ENTRIES = 10_000
WAITING = 1000  # refusals that are not written yet
AGAIN_SECONDS = 1.0
ROWS_AT_ONCE = 200

Set = tuple[str, bytes, bytes]  # id of a token, its entry as it must be now, as it shall be
Rows = Sequence[tuple[bytes, Sequence[bytes]]]

log = logging.getLogger("graygate.state")


@dataclass(frozen=True, slots=True)
class Noted:
    """One line of the audit: who wanted what, from where, and how it ended."""

    op: str  # refused, import_broken, token_create, token_revoke
    by: str  # name of the token; "" = nobody who could be told
    origin: str
    what: str  # method and path, or what happened to a token
    why: str  # the reason of the refusal, or of the change
    code: str = ""
    status: int = 0
    token: str = ""  # id of the token

    def fields(self) -> dict[str, str]:
        return {
            "op": self.op,
            "by": self.by,
            "token": self.token,
            "from": self.origin,
            "what": self.what[:300],
            "status": str(self.status) if self.status else "",
            "code": self.code,
            "why": self.why[:500],
        }


class AuditTrail:
    """Writes the audit; `dropped` counts what was lost."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._waiting: deque[Noted] = deque()
        self._woken = asyncio.Event()
        self.dropped = 0
        self.error = ""  # why nothing can be written now

    def note(self, noted: Noted) -> None:
        """Write this as soon as the store takes it; never waits."""
        if len(self._waiting) >= WAITING:
            self.dropped += 1
            return
        self._waiting.append(noted)
        self._woken.set()

    async def run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                try:
                    await self.write(self._waiting[0])
                except StoreError as error:
                    if str(error) != self.error:
                        log.warning("Refused writes cannot be recorded: %s", error)
                    self.error = str(error)
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    self.error = ""
                    self._waiting.popleft()

    async def write(self, noted: Noted, sets: Sequence[Set] = ()) -> bool:
        """Append, together with these changes of tokens; False when one of those moved on."""
        keys = [self._keys.audit, self._keys.tokens]
        fields = noted.fields()
        words: list[str | bytes | int] = [ENTRIES, len(fields)]
        for name, value in fields.items():
            words += [name, value.encode(errors="replace")]
        for one in sets:
            words += one
        reply = await (await self._link()).script(AUDIT, keys, words)
        match reply:
            case [b"ok", int(), int()]:
                return True
            case [b"conflict", *_]:
                return False
            case [b"type", int(place), *_]:
                key = keys[place - 1]
                raise StoreError(
                    f"{key} is of another type than the contract says, so nothing was written; "
                    f"look at it with TYPE {key}, then remove it with: DEL {key}"
                )
        raise StoreError("The store answered the audit script in an unknown form.")


async def rows_of(link: Calls, key: str, after: bytes = b"") -> Rows:
    """The next rows of a stream; none when it ends, or is not there."""
    start = b"(" + after if after else b"-"
    try:
        reply = await link.call("XRANGE", key, start, "+", "COUNT", ROWS_AT_ONCE)
    except StoreError as error:
        raise of_other_type(error, key, "stream") from None
    return reply if isinstance(reply, list) else []


async def verify_stream(link: Calls, key: str, most: int) -> Verifier:
    """Read a whole stream and say whether it is as it was written."""
    verifier = Verifier(most)
    after = b""
    while rows := await rows_of(link, key, after):
        after = rows[-1][0]
        await asyncio.to_thread(verifier.take, rows)
    verifier.finish(await _newest_ever(link, key))
    return verifier


async def _newest_ever(link: Calls, key: str) -> int:
    try:
        info = await link.call("XINFO", "STREAM", key)
    except StoreError:  # there is no such stream
        return 0
    pairs = info if isinstance(info, Mapping) else {}
    if isinstance(info, list):  # under RESP2
        pairs = dict(zip(info[::2], info[1::2], strict=True))
    newest = pairs.get(b"last-generated-id", b"0-0")
    return int(bytes(newest).partition(b"-")[0])
