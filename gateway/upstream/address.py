"""What an endpoint's URL says: where to connect, and how requests must be addressed there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_UNIX: Final = "http+unix"


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint, taken apart."""

    url: str  # as it was typed
    scheme: str  # http, https or http+unix
    host: str  # name or address, without brackets; what a certificate must name
    port: int
    unix_path: str  # of a socket in the file system; empty = host and port count
    path: bytes  # what stands before the path of each request; never ends with "/"
    authority: bytes  # the Host that the endpoint is asked for
    is_literal: bool  # host is an address: there is nothing to resolve

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def place(self) -> str:
        """Where to connect, for log lines."""
        return self.unix_path or self.authority.decode("ascii")

    def __repr__(self) -> str:
        return f"<Target {self.url}>"


def parse_target(url: str) -> Target:
    """Raises ValueError for a URL that routes must not hold.

    Forms: `http://host`, `https://host:8443/prefix`, `http://[::1]:8000`, and
    `http+unix://%2Frun%2Fmodel.sock/prefix` with the socket's path percent-encoded as host.
    """
    parts = urlsplit(url)
    if not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        raise ValueError("An endpoint's URL holds printable ASCII only.")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("An endpoint's URL is scheme, host, port and path, nothing else.")
    path = parts.path.rstrip("/").encode("ascii")
    if parts.scheme == _UNIX:
        return Target(url, _UNIX, "localhost", 0, _socket_path(parts), path, b"localhost", True)
    if parts.scheme not in _PORTS:
        raise ValueError("An endpoint's URL begins with http://, https:// or http+unix://.")
    host = parts.hostname or ""
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if not host or port == 0:
        raise ValueError("An endpoint's URL names a host, and a port other than 0.")
    literal = _is_address(host)
    shown = f"[{host}]" if ":" in host else host
    # The default port is left out, as browsers and client libraries do.
    named = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    return Target(url, parts.scheme, host, port, "", path, named.encode("ascii"), literal)


def _socket_path(parts: SplitResult) -> str:
    path = unquote(parts.netloc, errors="surrogateescape")
    if not path.startswith("/") or "\0" in path:
        raise ValueError(
            "A socket is named by its whole path, percent-encoded: http+unix://%2Frun%2Fmodel.sock"
        )
    return path


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
