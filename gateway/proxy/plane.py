"""The data plane of one worker: accepts connections and proxies requests by the table it is given.

It owns everything that lives longer than a request: the connections on both sides, the sweep that
ends what takes too long, and the counts. All of it runs on one loop, and nothing in it ever waits
for the store or for control.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import resource
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from gateway.config.certificate import ServerCertificate
from gateway.config.networks import networks_of
from gateway.config.settings import Settings
from gateway.errors import UpstreamError
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.metrics.numbers import Numbers
from gateway.metrics.recorder import StrataRecorder
from gateway.proxy.answered import Answered
from gateway.proxy.downstream import Downstream
from gateway.proxy.identity import Peer, Trust
from gateway.proxy.mirror import Mirrors
from gateway.proxy.overload import Overload
from gateway.proxy.pair import Pair
from gateway.proxy.telemetry import Telemetry
from gateway.proxy.view import View, follow
from gateway.routing.table import Table
from gateway.upstream.connection import UpstreamConnection, new_inlet
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.fleet import Fleet
from gateway.upstream.outbox import Outbox

if TYPE_CHECKING:
    from gateway.proxy.access_log import AccessLog
    from gateway.proxy.arrival import Arrival
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.tracing import Tracer

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_TICKS_PER_SWEEP = 10  # of the connections on both sides; exchanges are looked at in every tick
_LAST_REQUEST_SECONDS = 1.0  # for what was on its way when draining began
_DRAIN_LOOK_SECONDS = 0.02
_MOST_PEERS = 4096


class DataPlane:
    """Serves one listening socket; `table` is swapped whole, and a request reads it once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        limits = settings.limits
        self.http_limits = Limits(
            line_bytes=limits.line_bytes,
            head_bytes=limits.head_bytes,
            head_lines=limits.head_lines,
        )
        self.trust = Trust(networks_of(settings.routing.trusted_proxies))
        self.request_memo = LineMemo()
        self._response_memo = LineMemo()
        self._inlet = new_inlet()
        self.outbox = Outbox()
        self.clients: set[Downstream] = set()
        self.exchanges: set[Arrival] = set()
        self.keepalive_requests = limits.keepalive_requests
        self.keepalive_seconds = limits.keepalive_seconds
        self.most_connections = _most_connections(limits.connections)
        self.view: View | None = None
        self.is_closing = False  # no connection is kept any more
        self.date_line = b""
        self.decisions: dict[tuple[str, str, str], int] = {}
        self.strata = StrataRecorder()
        self.unrouted = Numbers()  # of requests that no route took
        self.overload = Overload(limits)
        self._telemetry = Telemetry(settings)
        self.access_log: AccessLog | None = None
        self.tracer: Tracer | None = None
        self.on_pair: Callable[[Pair], None] | None = None  # is told what a copy came to
        self.mirrors = Mirrors(self)
        self.answered = Answered()  # of requests whose answers may be rated
        self._fleet = Fleet(settings, self._new_connection)
        self._peers: dict[tuple[str, bool], Peer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log_again_at: dict[str, float] = {}

    def __repr__(self) -> str:
        state = "closing" if self.is_closing else "serving"
        counts = f"{len(self.clients)} connections, {len(self.exchanges)} requests"
        return f"<DataPlane {state}, {counts}, {self.table!r}>"

    # The table

    @property
    def table(self) -> Table | None:
        return None if self.view is None else self.view.table

    @table.setter
    def table(self, table: Table) -> None:
        before = None if self.view is None else self.view.table.header_names
        if before != table.header_names:  # other lines are to be looked at
            self.request_memo = LineMemo(table.header_names)
        self.view = follow(self.view, table, self._fleet, self.settings, self.strata)

    # Its life

    async def start(self, listening: socket.socket) -> None:
        """Accept on this socket from now on."""
        self._certificate = ServerCertificate.of(self.settings.listen)
        self._tick_now()
        loop = asyncio.get_running_loop()
        self.outbox.start(loop)
        self._telemetry.start()
        self.access_log, self.tracer = self._telemetry.access_log, self._telemetry.tracer
        self._fleet.start()
        self._server = await loop.create_server(
            lambda: Downstream(self),
            sock=listening,
            backlog=self.settings.listen.backlog,
            ssl=self._certificate.context if self._certificate is not None else None,
            ssl_handshake_timeout=(
                self.settings.limits.head_seconds if self._certificate is not None else None
            ),
        )
        self._ticking = asyncio.create_task(self._tick())

    async def drain(
        self,
        seconds: float,
        *,
        last_call_seconds: float = 0.0,
        keeps_idle: Callable[[], bool] = lambda: False,
    ) -> None:
        """Stops accepting after `last_call_seconds`; returns when all requests are finished.

        An idle connection is told by its next answer that it is the last; if there is no next
        request, it is closed after a second, or, while `keeps_idle` says so, at the very end.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.is_closing = True
        if last_call_seconds:
            await asyncio.sleep(last_call_seconds)
        # Done when all accepted connections have ended, those in their TLS handshake included;
        # uvloop's server knows of them only if it is asked before it closes.
        gone = asyncio.ensure_future(self._server.wait_closed())
        for _ in range(2):  # the loop looks at the socket once more
            await asyncio.sleep(0)
        self._server.close()
        while not gone.done() and loop.time() < now + seconds:
            if loop.time() >= now + _LAST_REQUEST_SECONDS and not keeps_idle():
                self._close_idle()
            await asyncio.wait([gone], timeout=_DRAIN_LOOK_SECONDS)
        self._close_idle()
        await asyncio.sleep(0)
        for connection in list(self.clients):  # their time is over
            connection.abort()
        self.mirrors.close()
        self._ticking.cancel()
        await asyncio.gather(self._ticking, *self._tasks, return_exceptions=True)
        await self._fleet.close()
        await asyncio.wait([gone], timeout=_DRAIN_LOOK_SECONDS)
        gone.cancel()
        await self._telemetry.end()

    def _close_idle(self) -> None:
        for connection in list(self.clients):
            connection.close_idle()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that belongs to a request; the plane waits for it at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("A request failed inside the gateway.", exc_info=task.exception())

    # Time

    async def _tick(self) -> None:
        """The one clock of the plane: what has a deadline is looked at, not woken up."""
        loop = asyncio.get_running_loop()
        count = 0
        due = loop.time()
        while True:
            due = max(due + _TICK_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
            self.overload.measure_lag(loop.time() - due)
            now = time.monotonic()
            for exchange in [one for one in self.exchanges if one.deadline <= now]:
                self._expire(exchange, now)
            self._telemetry.flush()
            self.strata.digest()
            count += 1
            if count % _TICKS_PER_SWEEP == 0:
                self._tick_now()
                for connection in [one for one in self.clients if one.deadline <= now]:
                    self._expire(connection, now)
                self.mirrors.sweep(now)
                self._fleet.sweep(now)

    def _tick_now(self) -> None:
        """What is renewed every second."""
        self.date_line = b"Date: " + formatdate(usegmt=True).encode()
        self.strata.offset = time.time() - time.monotonic()
        self.overload.measure_memory()
        self._telemetry.tick()
        if self._certificate is not None:
            self._certificate.renew()

    def _expire(self, one: Arrival | Downstream, now: float) -> None:
        try:
            one.expired(now)
        except Exception:
            _log.exception("A timeout could not be carried out: %r", one)
            if isinstance(one, Downstream):
                one.abort()
            else:
                one.broke()

    # What connections and exchanges ask for

    def peer_of(self, address: str, is_tls: bool) -> Peer:
        peer = self._peers.get((address, is_tls))
        if peer is None:
            peer = Peer(address, self.trust.covers(address), is_tls)
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            self._peers[address, is_tls] = peer
        return peer

    def new_request_id(self) -> str:
        return f"{random.getrandbits(128):032x}"

    def log_failure(
        self, exchange: Exchange, endpoint: Endpoint | None, error: UpstreamError
    ) -> None:
        """Say what is wrong behind us, but not for each request that meets it."""
        where = endpoint.target.url if endpoint is not None else exchange.version
        now = time.monotonic()
        if now < self._log_again_at.get(where, 0.0):
            return
        if len(self._log_again_at) > 1000:
            self._log_again_at.clear()
        self._log_again_at[where] = now + 1.0
        name = exchange.route.name if exchange.route is not None else "-"
        _log.warning(
            "Route %s, version %s, %s: %s (%s)", name, exchange.version, where, error, error.detail
        )

    # What the worker reports

    @property
    def numbers(self) -> dict[tuple[str, str], Numbers]:
        """By route and version; what no route took under no name."""
        return {("", ""): self.unrouted, **self._fleet.numbers}

    @property
    def connections(self) -> int:
        return len(self.clients)

    @property
    def shed(self) -> dict[str, int]:
        return self.overload.shed

    @property
    def dropped(self) -> dict[str, int]:
        return self._telemetry.dropped

    def endpoints(self) -> Iterator[tuple[str, str, str, bool]]:
        """Route, version, URL and whether it is up."""
        return self._fleet.endpoints(time.monotonic())

    def _new_connection(self) -> UpstreamConnection:
        return UpstreamConnection(self._response_memo, self.http_limits, self._inlet, self.outbox)


def _most_connections(wanted: int | str) -> int:
    """Half of the descriptors: each connection may need another one upstream."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    half = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2, 1)
    if not isinstance(wanted, int):
        return half
    if wanted > half:
        _log.warning(
            "limits.connections is %d, but this worker takes %d at most: a connection needs two "
            "descriptors, and ulimit -Hn allows %d.", wanted, half, half * 2,
        )  # fmt: skip
    return min(wanted, half)
