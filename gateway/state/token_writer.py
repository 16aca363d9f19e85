"""Making tokens and taking them back: each a line of the audit in the same step."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec

from gateway.errors import ConflictError, NotFoundError, RefusedError
from gateway.state.audit import AuditTrail, Noted, Set
from gateway.state.keys import NAME_RULE, Keys
from gateway.state.link import Link
from gateway.state.tokens import (
    MAX_TOKENS,
    Known,
    Role,
    Token,
    TokenBook,
    digest,
    new_secret,
    wrong_with,
)
from gateway.state.write import Author

FORGET_SECONDS = 30 * 86_400  # what ended is shown for so long
ATTEMPTS = 5


class TokenWriter:
    """Changes what the store holds, and lets the book know at once."""

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        keys: Keys,
        book: TokenBook,
        trail: AuditTrail,
    ) -> None:
        self._link = link
        self._key = keys.tokens
        self._book = book
        self._trail = trail

    async def create(
        self, name: str, role: Role, routes: tuple[str, ...], seconds: int, author: Author
    ) -> tuple[Known, str]:
        """A new token and its text, which nobody can be told again; `seconds` 0 = for ever."""
        now = int(time.time())
        token_id, text = new_secret()
        token = Token(
            name=name,
            role=str(role),  # type: ignore[arg-type]  # its names are those of the literal
            routes=routes,
            hash=digest(text),
            created=now,
            expires=now + seconds if seconds else 0,
        )
        wrong = wrong_with(token)
        if wrong:
            raise RefusedError(
                f"No token was made: {wrong}. A name is {NAME_RULE}; a pattern of routes has "
                "also * ?"
            )
        await self._refresh()
        known = self._book.tokens
        old = [key for key, one in known.items() if _is_over(one, now - FORGET_SECONDS)]
        if len(known) - len(old) >= MAX_TOKENS:
            raise RefusedError(f"There are {MAX_TOKENS} tokens; take some back first.")
        sets: list[Set] = [(key, self._book.entry(key), b"") for key in old]
        sets.append((token_id, b"", _entry(token)))
        scope = ",".join(routes)
        what = f"token {token_id} for {name}: {token.role} of {scope}"
        if not await self._trail.write(_noted("token_create", author, what), sets):
            raise ConflictError("The tokens were changed at the same time; try again.")
        await self._refresh()
        return Known(token_id, token), text

    async def revoke(self, name: str, author: Author) -> list[str]:
        """Take back the token of this id, or all tokens of this name; their ids."""
        for _ in range(ATTEMPTS):
            await self._refresh()
            found = {
                key: one
                for key, one in self._book.tokens.items()
                if name in (key, one.name) and not one.revoked
            }
            if not found:
                raise NotFoundError(
                    f"There is no token {name[:64]!a} to take back; see: graygate token list"
                )
            now = int(time.time())
            sets: list[Set] = [
                (key, self._book.entry(key), _entry(msgspec.structs.replace(one, revoked=now)))
                for key, one in found.items()
            ]
            what = ", ".join(f"token {key} of {one.name}" for key, one in found.items())
            done = await self._trail.write(_noted("token_revoke", author, what), sets)
            await self._refresh()
            if done:
                return list(found)
        raise ConflictError("The tokens were changed at the same time; try again.")

    async def _refresh(self) -> None:
        await self._book.read(await self._link())


def _entry(token: Token) -> bytes:
    return msgspec.json.encode(token)


def _is_over(token: Token, now: float) -> bool:
    ended = token.revoked or token.expires
    return bool(ended) and ended < now


def _noted(op: str, author: Author, what: str) -> Noted:
    return Noted(op=op, by=author.by, origin=author.origin, what=what, why=author.why)
