"""One question to a store over a plain blocking socket: enough to see whether it is up.

Everything that matters speaks to the store through `gateway.state`; this is for start and stop,
which are synchronous and come before any event loop.
"""

from __future__ import annotations

import socket
from typing import BinaryIO

from gateway.errors import StoreError


def ask(port: int, *words: str, timeout_seconds: float = 1.0) -> str:
    """The reply to one command as text; StoreError for an error reply, OSError for no reply."""
    with socket.create_connection(("127.0.0.1", port), timeout_seconds) as link:
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded)]
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
        link.sendall(b"".join(parts))
        with link.makefile("rb") as stream:
            return _read(stream)


def _read(stream: BinaryIO) -> str:
    line = stream.readline(4096)
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the store closed the connection")
    kind, text = line[:1], line[1:-2].decode(errors="replace")
    match kind:
        case b"+" | b":":
            return text
        case b"-":
            raise StoreError(text)
        case b"$" if text.isdigit():
            body = stream.read(int(text) + 2)
            if len(body) != int(text) + 2:
                raise ConnectionError("the store closed the connection")
            return body[:-2].decode(errors="replace")
    raise ConnectionError("what listens there does not speak the Redis protocol")
