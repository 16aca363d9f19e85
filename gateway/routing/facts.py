"""What a decision may know of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import unquote_to_bytes

# Bytes that stand for themselves in a canonical path: those a URL path may hold unescaped. All
# others appear as %XX, and so does an escaped slash, which is data and parts no segments.
_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"
_ESCAPABLE: Final = [byte for byte in range(0x20, 0x100) if byte != 0x7F]
_UNESCAPED: Final = {
    spelling.encode(): bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte
    for byte in _ESCAPABLE
    for hexes in (f"{byte:02x}",)
    for spelling in {
        hexes,
        hexes.upper(),
        hexes[0].upper() + hexes[1],
        hexes[0] + hexes[1].upper(),
    }
}
# Printable but not allowed in a URL path; many clients send them raw all the same.
_RAW: Final = re.compile(rb'["<>\\^`{|}]')

# Most paths are canonical already: plain bytes only, no empty segment, none that starts with a dot.
_CANONICAL: Final = re.compile(
    rb"(?:/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*+)*+/?+"
)
_PRINTABLE: Final = re.compile(rb"/[!-~]*+")


def canonical_path(raw: bytes) -> bytes | None:
    """The one form of a path that matching looks at; None when the path must be refused.

    Escapes are resolved once where the byte may stand unescaped, and are upper case where not;
    `//`, `/./` and `/../` are resolved after that, so `/%2e%2e//x` hides nothing. Refused are raw
    or escaped control bytes, raw non-ASCII, `#`, `?`, broken escapes, and climbing above the root.
    What is forwarded is never this form but the bytes that came (P-24).
    """
    if raw and _CANONICAL.fullmatch(raw):
        return raw
    if not _PRINTABLE.fullmatch(raw) or b"#" in raw or b"?" in raw:
        return None
    first, *escaped = _RAW.sub(lambda found: b"%%%02X" % ord(found[0]), raw).split(b"%")
    pieces = [first]
    for piece in escaped:
        byte = _UNESCAPED.get(piece[:2])
        if byte is None:
            return None
        pieces += byte, piece[2:]
    return _resolved(b"".join(pieces))


def _resolved(path: bytes) -> bytes | None:
    segments = path.split(b"/")
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    is_folder = segments[-1] in (b"", b".", b"..")
    return b"/" + b"/".join(kept) + (b"/" if kept and is_folder else b"")


class RequestFacts:
    """One request as the decision sees it; filled in by whoever has parsed it.

    `host` is lower case and without port. `path` is `canonical_path` of what came. `headers` has
    lower-case names; a field that came twice is left out, since nobody can tell which one counts
    (A-10), except `cookie`, whose lines are joined with `; `. `client_ip` is the address that is
    believed to be the client's. `trusted` says that the peer may tell us who the user is.
    """

    __slots__ = (
        "_address",
        "_cookies",
        "_parameters",
        "body_user",
        "client_ip",
        "headers",
        "host",
        "method",
        "model",
        "path",
        "query",
        "trusted",
    )

    def __init__(
        self,
        method: str,
        host: bytes,
        path: bytes,
        query: bytes,
        headers: Mapping[bytes, bytes],
        client_ip: str,
        trusted: bool,
        model: str | None = None,
        body_user: bytes | None = None,
    ) -> None:
        self.method = method
        self.host = host
        self.path = path
        self.query = query
        self.headers = headers
        self.client_ip = client_ip
        self.trusted = trusted
        self.model = model
        self.body_user = body_user
        self._cookies: dict[bytes, bytes] | None = None
        self._parameters: dict[bytes, bytes] | None = None
        self._address: tuple[int, int] | None = None

    @property
    def cookies(self) -> Mapping[bytes, bytes]:
        """Name -> value; of two with the same name the first counts (RFC 6265, 5.4)."""
        if self._cookies is None:
            self._cookies = {}
            for pair in self.headers.get(b"cookie", b"").split(b";"):
                name, _, value = pair.partition(b"=")
                self._cookies.setdefault(name.strip(b" \t"), _unquoted(value.strip(b" \t")))
        return self._cookies

    @property
    def parameters(self) -> Mapping[bytes, bytes]:
        """Query parameters, unescaped; of two with the same name the first counts."""
        if self._parameters is None:
            self._parameters = {}
            for pair in self.query.split(b"&"):
                name, _, value = pair.replace(b"+", b" ").partition(b"=")
                self._parameters.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
        return self._parameters

    @property
    def address(self) -> tuple[int, int]:
        """The client's address as (IP version, number); (0, 0) when it is none."""
        if self._address is None:
            self._address = _address(self.client_ip)
        return self._address

    def __repr__(self) -> str:
        return f"<RequestFacts {self.method} {self.host!r} {self.path!r}>"


def _unquoted(value: bytes) -> bytes:
    quoted = len(value) > 1 and value.startswith(b'"') and value.endswith(b'"')
    return value[1:-1] if quoted else value


def _address(text: str) -> tuple[int, int]:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return 0, 0
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
