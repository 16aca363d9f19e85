"""One endpoint of a version: its connections, and what is known of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.errors import ConnectFailed, ConnectTimeout, Overflow
from gateway.upstream.address import parse_target
from gateway.upstream.dial import Dialer
from gateway.upstream.health import FAILURES, Health

if TYPE_CHECKING:
    from gateway.upstream.connection import UpstreamConnection

_log: Final = logging.getLogger(__name__)


class Endpoint:
    """One URL of one version.

    A request that goes here calls `started`, takes an idle connection or makes one, tells what
    became of it with `succeeded` or `failed`, gives a reusable connection back, calls `finished`.
    """

    __slots__ = (
        "_dialer",
        "_dialing",
        "_make",
        "_opened",
        "active",
        "health",
        "idle",
        "is_reached",
        "is_retired",
        "keepalive_seconds",
        "key",
        "max_connections",
        "owner",
        "target",
        "url",
    )

    def __init__(
        self,
        url: str,
        owner: str,
        dialer: Dialer,
        make: Callable[[], UpstreamConnection],
        *,
        keepalive_seconds: float,
        max_connections: int,
    ) -> None:
        """`owner` names the route and version in log lines."""
        self.url = url
        self.target = parse_target(url)
        self.key = url.encode()
        self.owner = owner
        self.keepalive_seconds = keepalive_seconds
        self.max_connections = max_connections
        self.active = 0  # requests under way
        self.idle: list[UpstreamConnection] = []  # the newest at the end
        self.health = Health()
        self.is_reached = True  # what the last attempt to connect found
        self.is_retired = False  # not in the table any more: nothing is kept
        self._dialer = dialer
        self._make = make
        self._dialing = 0
        self._opened: set[UpstreamConnection] = set()  # with some that have closed since

    def __repr__(self) -> str:
        return (
            f"<Endpoint {self.url}: {self.active} active, {len(self.idle)} idle, "
            f"{self.connections} connections, {self.health!r}>"
        )

    @property
    def connections(self) -> int:
        """Those that stand, and those being made."""
        return self._dialing + sum(connection.is_open for connection in self._opened)

    # What a request does

    def started(self) -> None:
        self.active += 1

    def finished(self) -> None:
        self.active -= 1

    def take_idle(self, now: float) -> UpstreamConnection | None:
        """The connection that was used last; those that are closed or too old are dropped."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.is_open:
                if now - connection.idle_since <= self.keepalive_seconds:
                    return connection
                connection.close()
        return None

    def give_back(self, connection: UpstreamConnection, now: float) -> None:
        """Keeps a connection that may carry another request."""
        if self.is_retired:
            connection.close()
        elif connection.is_open:
            connection.idle_since = now
            self.idle.append(connection)

    async def connect(self, seconds: float) -> UpstreamConnection:
        """A new connection; raises ConnectFailed, ConnectTimeout or Overflow."""
        if self._dialing + len(self._opened) >= self.max_connections:
            self._opened = {one for one in self._opened if one.is_open}
            if self._dialing + len(self._opened) >= self.max_connections:
                text = "The model has more connections than it may have; try again."
                raise Overflow(text, f"{self.url} has {self.max_connections} connections")
        self._dialing += 1
        try:
            connection = await self._dialer.dial(self.target, self._make, seconds)
        except (ConnectFailed, ConnectTimeout):
            self.is_reached = False
            raise
        finally:
            self._dialing -= 1
        self.is_reached = True
        self._opened.add(connection)
        return connection

    def succeeded(self) -> None:
        """An answer came that is not the endpoint's failure."""
        self.health.failures = 0

    def failed(self, now: float) -> None:
        """No connection, no answer in time, no HTTP, or a 5xx answer."""
        seconds = self.health.failure(now, is_reached=self.is_reached)
        if seconds:
            _log.warning(
                "%s: %s failed %d times in a row; it gets no requests for %d s.",
                *(self.owner, self.url, FAILURES, seconds),
            )

    # What the fleet does

    def sweep(self, now: float) -> None:
        """Closes what has been idle for too long, and forgets what was closed."""
        if self.idle:
            kept = []
            for connection in self.idle:
                if connection.is_open:
                    if now - connection.idle_since <= self.keepalive_seconds:
                        kept.append(connection)
                    else:
                        connection.close()
            self.idle = kept
        if self._opened:
            self._opened = {one for one in self._opened if one.is_open}

    def close_idle(self) -> None:
        for connection in self.idle:
            connection.close()
        self.idle.clear()

    def retire(self) -> None:
        """It is not in the table any more: what runs may finish, then it is gone."""
        self.is_retired = True
        self.close_idle()

    def abort(self) -> None:
        """Ends all connections, whatever they carry."""
        self.retire()
        for connection in self._opened:
            if connection.is_open:
                connection.abort()
        self._opened.clear()
