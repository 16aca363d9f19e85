"""Who is being assigned: the sources that a route reads the unit from, the first present one wins.

    header:NAME   a request header               only from trusted callers
    body:user     the "user" field of the body   only from trusted callers
    jwt:CLAIM     a claim of the bearer token    verified, or from trusted callers (route's jwt)
    cookie:NAME   a cookie                       always
    query:NAME    a query parameter              always
    ip            the client's address           always

Cookies and parameters are readable for everyone since it is the browser that holds them: who
changes them changes only the own assignment, unless a whitelist names such ids. A route whose lists
matter uses `jwt`, or `header` behind a proxy that sets it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.routing.facts import RequestFacts
from gateway.routing.jwt import Claims, JwtVerifier, bearer_token, read_claims
from gateway.routing.suggest import suggest

MAX_UNIT_BYTES: Final = 256

_NAMED: Final = ("header", "cookie", "query", "jwt")
_FORMS: Final = "header:NAME, cookie:NAME, query:NAME, jwt:CLAIM, body:user, ip"

Reader = Callable[[RequestFacts, float], bytes | None]


@dataclass(frozen=True, slots=True)
class Source:
    """One place to read a unit from; `str()` gives the text it was parsed from."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_source(text: str) -> Source:
    """Raises ValueError with one sentence when this is no source."""
    kind, colon, name = text.partition(":")
    if text == "ip" or text == "body:user":
        return Source(kind, name)
    if kind in _NAMED and name and name.isprintable() and " " not in name:
        return Source(kind, name)
    if kind in _NAMED:
        raise ValueError(f"{text!r} needs a name without spaces, as in {kind}:NAME.")
    if kind == "body":
        raise ValueError(f"{text!r} is no unit source: of the body only body:user can be read.")
    if kind == "ip":
        raise ValueError(f"{text!r} is no unit source: write just ip.")
    if not colon:
        raise ValueError(f"{text!r} is no unit source: write one of {_FORMS}.")
    raise ValueError(f"{text!r} is no unit source.{suggest(kind, (*_NAMED, 'body', 'ip'))}")


def header_of(text: str) -> str | None:
    """The request header that a source is read from; None when it is read from elsewhere."""
    source = parse_source(text)
    if source.kind == "header":
        return source.name
    return {"cookie": "cookie", "jwt": "authorization"}.get(source.kind)


def compile_sources(
    texts: Iterable[str], jwt: str = "verified", verifier: JwtVerifier | None = None
) -> tuple[tuple[Reader, str], ...]:
    """What `find_unit` runs; `jwt` is the route's, `trusted` or `verified`."""
    sources = [parse_source(text) for text in texts]
    return tuple((_reader(source, jwt == "trusted", verifier), str(source)) for source in sources)


def find_unit(
    sources: tuple[tuple[Reader, str], ...], facts: RequestFacts, now: float
) -> tuple[bytes | None, str]:
    """The unit and the source it came from; (None, "") when no source has one.

    The value is taken as it is but for spaces and tabs around it (never Python's idea of white
    space: 0x85 and 0xA0 are part of the id). One of more than 256 bytes becomes `sha256:` and the
    hex digest of all of it, so that long ids stay apart and lists can still name them.
    """
    for read, source in sources:
        value = read(facts, now)
        if value:
            value = value.strip(b" \t")
            if value:
                if len(value) > MAX_UNIT_BYTES:
                    value = b"sha256:" + hashlib.sha256(value).hexdigest().encode()
                return value, source
    return None, ""


def _reader(source: Source, jwt_trusted: bool, verifier: JwtVerifier | None) -> Reader:
    name = source.name.encode()
    if source.kind == "header":
        lower = name.lower()
        return lambda facts, now: facts.headers.get(lower) if facts.trusted else None
    if source.kind == "cookie":
        return lambda facts, now: facts.cookies.get(name)
    if source.kind == "query":
        return lambda facts, now: facts.parameters.get(name)
    if source.kind == "body":
        return lambda facts, now: facts.body_user if facts.trusted else None
    if source.kind == "ip":
        return lambda facts, now: facts.client_ip.encode()
    return _claim_reader(source.name, jwt_trusted, verifier)


def _claim_reader(claim: str, jwt_trusted: bool, verifier: JwtVerifier | None) -> Reader:
    def read(facts: RequestFacts, now: float) -> bytes | None:
        token = bearer_token(facts.headers.get(b"authorization", b""))
        if not token:
            return None
        if jwt_trusted and facts.trusted:
            claims = read_claims(token)
        else:
            claims = verifier.claims(token, now) if verifier is not None else None
        return None if claims is None else _claim(claims, claim)

    return read


def _claim(claims: Claims, name: str) -> bytes | None:
    """A claim by its name, else by its dotted path; text and whole numbers can be units.

    Names come first because many are URLs (`https://example.com/uid`), which hold dots.
    """
    value: object = claims.get(name)
    if value is None:
        value = claims
        for step in name.split("."):
            value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.encode()
    return str(value).encode() if type(value) is int else None
