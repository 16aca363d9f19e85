"""Tokens of the admin port: who bears one, what it may do, and how one is made and taken back.

The store holds no token, only its hash. A plain SHA-256 is enough: tokens are made here from 256
random bits, so there is nothing to guess, and what slows guessing down (salt, bcrypt) would only
slow down every call.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.errors import StoreError
from gateway.state.keys import NAME, Keys
from gateway.state.reader import Transactions, unreadable
from gateway.state.snapshot import Refusal

MAX_TOKENS = 1000
MAX_GLOBS = 100
MAX_FINDINGS = 20
NAMES_OF_OURS = frozenset({"admin", "redis"})  # in a history they mean something else

GLOB = re.compile(r"[A-Za-z0-9._*?-]{1,64}")
_ID = re.compile(r"[0-9a-f]{8}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")

Time = Annotated[int, Meta(ge=0, le=2**53)]


class Role(IntEnum):
    """What a token may do; each role may do what those below it may."""

    VIEWER = 1
    OPERATOR = 2
    APPROVER = 3
    ADMIN = 4

    def __str__(self) -> str:
        return self.name.lower()


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the store. A field that is not known is refused: it may be a mistyped limit."""

    name: str
    role: Literal["viewer", "operator", "approver", "admin"]
    routes: tuple[str, ...]  # globs; "*" = all routes, and what belongs to none
    hash: str
    created: Time
    expires: Time = 0  # seconds since 1970; 0 = never
    revoked: Time = 0  # 0 = not

    @property
    def rank(self) -> Role:
        return Role[self.role.upper()]

    def is_valid(self, now: float) -> bool:
        return not self.revoked and (not self.expires or now < self.expires)


@dataclass(frozen=True, slots=True)
class Known:
    """A token that somebody showed, found again."""

    id: str
    token: Token


def reaches(globs: Iterable[str], route: str) -> bool:
    return any(fnmatchcase(route, glob) for glob in globs)


def new_secret() -> tuple[str, str]:
    """Id and whole text of a new token; the id in it says which one a leaked token is."""
    token_id = secrets.token_hex(4)
    return token_id, f"gray_{token_id}_{secrets.token_urlsafe(32)}"


def digest(text: str) -> str:
    # Whatever bytes a header held arrive here, those that are no UTF-8 as surrogates.
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def wrong_with(token: Token) -> str | None:
    """Why an entry that has all its fields is refused all the same."""
    if not NAME.fullmatch(token.name) or token.name in NAMES_OF_OURS:
        return "its name is none that a token may have"
    if not _HASH.fullmatch(token.hash):
        return "its hash is not sha256: and 64 hex digits"
    if not 0 < len(token.routes) <= MAX_GLOBS:
        return f"it names no route, or more than {MAX_GLOBS}; * means all"
    if not all(GLOB.fullmatch(glob) for glob in token.routes):
        return "a pattern of routes has letters that no route has; take *, ? and those of names"
    return None


def read_entry(token_id: str, text: bytes) -> Token | str:
    """The token, or what is wrong with the entry; never a word out of it."""
    if not _ID.fullmatch(token_id):
        return "its id is not 8 hex digits"
    try:
        token = msgspec.json.decode(text, type=Token)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return "it is not the JSON that graygate token create writes"
    return wrong_with(token) or token


class TokenBook:
    """The tokens as the store told them last; while it is away they stay as they were.

    What the store says counts at once, and what cannot be read is valid for nobody: a token that
    vanished, is garbage, or stands in a key of a wrong type opens nothing.
    """

    def __init__(self, keys: Keys, on_refused: Callable[[], None] = lambda: None) -> None:
        self._key = keys.tokens
        self._on_refused = on_refused
        self._raw: Mapping[bytes, bytes] | None = None
        self.tokens: Mapping[str, Token] = MappingProxyType({})
        self.refused: tuple[Refusal, ...] = ()

    def __repr__(self) -> str:
        return f"<TokenBook of {len(self.tokens)}, {len(self.refused)} refused>"

    async def read(self, link: Transactions) -> None:
        """Ask the store; raises, and keeps what is known, when it gives no answer."""
        [reply] = await link.transaction([("HGETALL", self._key)])
        self.take(reply)

    def take(self, reply: object) -> None:
        """Take in the reply to HGETALL."""
        if isinstance(reply, StoreError):
            problem = unreadable(reply, self._key, "hash")
            self._refuse_all(problem.reason, problem.text)
            return
        raw = _pairs(reply)
        if raw == self._raw:
            return
        if len(raw) > MAX_TOKENS:
            text = f"there are {len(raw)}, more than {MAX_TOKENS}, so none is valid; take some out"
            self._refuse_all("too_large", text)
            return
        tokens: dict[str, Token] = {}
        refused: list[Refusal] = []
        for field, entry in sorted(raw.items()):
            token_id = field.decode(errors="replace")
            token = read_entry(token_id, entry)
            if isinstance(token, Token):
                tokens[token_id] = token
            elif len(refused) < MAX_FINDINGS:
                shown = token_id[:32]
                advice = f"take it out with: HDEL {self._key} {shown!a}"
                what = f"token {shown!a} is valid for nobody: {token}; {advice}"
                refused.append(Refusal("", self._key, "bad_token", what))
        self._raw = raw
        self._swap(tokens, tuple(refused))

    def entry(self, token_id: str) -> bytes:
        """The token exactly as the store holds it."""
        return (self._raw or {})[token_id.encode()]

    def find(self, text: str, now: float) -> Known | None:
        """The valid token that this is."""
        match text.split("_", 2):
            case ["gray", token_id, _]:
                token = self.tokens.get(token_id)
                if token is None or not hmac.compare_digest(token.hash, digest(text)):
                    return None
                return Known(token_id, token) if token.is_valid(now) else None
        return None

    def _refuse_all(self, reason: str, text: str) -> None:
        self._raw = None
        self._swap({}, (Refusal("", self._key, reason, text),))

    def _swap(self, tokens: Mapping[str, Token], refused: tuple[Refusal, ...]) -> None:
        self.tokens = MappingProxyType(tokens)
        if refused != self.refused:
            self.refused = refused
            self._on_refused()


def _pairs(reply: object) -> dict[bytes, bytes]:
    if isinstance(reply, Mapping):
        return dict(reply)
    flat = reply if isinstance(reply, list) else []  # under RESP2
    return dict(zip(flat[::2], flat[1::2], strict=True))
