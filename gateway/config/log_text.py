"""What may stand in a log: nothing that moves a terminal or starts a line, and no secret.

Whatever is logged came from outside sooner or later. `printable` makes text harmless, `Redactor`
hides what looks like a secret or is one of ours, `masked_query` does so for the query of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from gateway.config.secret import Secret

MASK = "***"

# Control characters (C0, DEL, C1), line separators, marks that reorder text, halves of characters.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

# By these names secrets travel in queries: those of model APIs, signed URLs, OAuth and sessions.
_SECRET_PARTS = (
    *("token", "secret", "passw", "passphrase", "signature", "credential", "authorization"),
    *("apikey", "session", "jwt"),
)
_SECRET_NAMES = frozenset({"auth", "code", "otp", "pass", "pin", "pw", "pwd", "sid", "sig"})
_PAIR = re.compile(r"[^&;]+")

_LEAST_SECRET_CHARACTERS = 4  # a shorter one would tear holes into every sentence
_SECRET_FIELDS = (
    r"(?:proxy-)?authorization|set-cookie|cookie|x-graygate-override|"
    r"(?:x-)?(?:[a-z]+-)*api-?key|x-auth-token|x-amz-security-token"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # redis://:password@host; a password may hold what no URL may, so up to the last "@".
    (re.compile(r"(?i)\b((?:rediss?|unix)(?:\+[a-z]+)?://)\S{0,512}@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,32}://)[^\s/?#@'\"]{0,512}@"), rf"\1{MASK}@"),
    # A header line, in whatever notation: up to the end of the line or of the quotes.
    (
        re.compile(rf"(?i)\b({_SECRET_FIELDS})(b?['\"]?\s*[:,=]\s*)(b?)(['\"])(?:\\.|(?!\4).)*"),
        rf"\1\2\3\4{MASK}",
    ),
    (re.compile(rf"(?i)\b({_SECRET_FIELDS})(\s*:\s*+)(?!b?['\"])[^\r\n'\"]+"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*[0-9._=+/-])[\w.~+/=-]{6,}"), rf"\1 {MASK}"),
    # name=value and "name": "value"
    (
        # Bounded, as what is searched may have been made to be slow to search.
        re.compile(
            r"(?i)(\b[\w.-]{0,64}?(?:passw(?:or)?d|secret|token|api[_-]?key|signature|credential)"
            r"[\w.-]{0,64}(?:=|['\"]\s{0,9}:\s{0,9}))(['\"]?)[^\s'\"&,;)]+"
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(?i)([?&;](?:key|sig|auth|code)=)[^\s'\"&;]+"), rf"\1{MASK}"),
    # Keys of model APIs and JSON Web Tokens show themselves.
    (re.compile(r"\bsk-[\w-]{12,}"), MASK),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.?[\w-]*"), MASK),
)


def printable(text: str) -> str:
    """The text with everything escaped that could change a line's meaning or a terminal's state."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


@lru_cache(maxsize=1024)  # clients use few names
def is_secret_name(name: str) -> bool:
    """Whether the value of a query parameter of this name must not be read by others."""
    folded = name.lower().replace("-", "").replace("_", "").replace(".", "")
    return (
        folded in _SECRET_NAMES
        or folded.endswith("key")
        or any(part in folded for part in _SECRET_PARTS)
    )


def masked_query(query: str, also: Container[str] = ()) -> str:
    """The query without the values of parameters that look secret, or are named in `also`."""

    def masked(found: re.Match[str]) -> str:
        name, equals, _ = found[0].partition("=")
        plain = unquote_plus(name) if "%" in name or "+" in name else name
        is_hidden = equals and (is_secret_name(plain) or plain in also)
        return f"{name}={MASK}" if is_hidden else found[0]

    return _PAIR.sub(masked, query)


class Redactor:
    """Hides secrets in text: those it was told, wherever they stand, and what looks like one."""

    __slots__ = ("_known",)

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            text = secret.reveal().strip()
            if len(text) >= _LEAST_SECRET_CHARACTERS:
                spellings |= {text, repr(text)[1:-1], quote(text, safe="")}
        ordered = sorted(spellings, key=len, reverse=True)  # of two, the one that holds the other
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __repr__(self) -> str:
        return f"<Redactor{'' if self._known is None else ' that knows secrets'}>"

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text
