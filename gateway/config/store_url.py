"""The shapes a store URL may have.

No message repeats any part of the URL: people put passwords in it, often in the wrong place.
"""

from __future__ import annotations

import re

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_DATABASE = r"[0-9]{1,5}"
_SERVER = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_SHAPES = {
    "redis": "redis://HOST:PORT/DATABASE",
    "rediss": "rediss://HOST:PORT/DATABASE",
    "unix": "unix:///PATH or unix:///PATH?db=DATABASE",
    "redis+sentinel": "redis+sentinel://HOST:PORT,HOST:PORT/NAME/DATABASE",
}


def url_problem(url: str) -> str | None:
    """Says what is wrong with a store URL, or None."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        return "must start with redis://, rediss://, unix:// or redis+sentinel://"
    if "@" in rest:
        return (
            "must not hold a user or a password; put them into redis.username and redis.password, "
            "or name a file with redis.password_file"
        )
    if not _has_shape(scheme, rest):
        return f"must look like {_SHAPES[scheme]}"
    return None


def is_plain_text(url: str) -> bool:
    """Whether the URL names a connection that TLS has no part in."""
    return url.startswith(("redis://", "unix://"))


def _has_shape(scheme: str, rest: str) -> bool:
    if scheme == "unix":
        return re.fullmatch(rf"/[^?#\s]+(\?db={_DATABASE})?", rest) is not None
    servers, _, path = rest.partition("/")
    if scheme == "redis+sentinel":
        named = re.fullmatch(rf"[A-Za-z0-9._-]+(/{_DATABASE})?/?", path) is not None
        return named and all(_is_server(server) for server in servers.split(","))
    return _is_server(servers) and re.fullmatch(rf"({_DATABASE})?", path) is not None


def _is_server(text: str) -> bool:
    found = _SERVER.fullmatch(text)
    return found is not None and (found.group(2) is None or 1 <= int(found.group(2)) <= 65_535)
