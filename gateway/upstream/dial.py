"""A new connection to an endpoint: name, socket, TLS; one time limit over all of it.

The only place where the errors of sockets and of TLS are met; what leaves here is ours.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from gateway.config.endpoints import EndpointRule
from gateway.config.settings import Upstream
from gateway.errors import ConnectFailed, ConnectTimeout, Overflow
from gateway.upstream.address import Target
from gateway.upstream.resolve import Resolver
from gateway.upstream.tls import client_context

MOST_ADDRESSES = 4  # of one name are tried for one connection

P = TypeVar("P", bound=asyncio.BaseProtocol)

# What we lack ourselves: no endpoint is to blame.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class Dialer:
    """Makes connections; one per worker."""

    __slots__ = ("_clock", "_context", "_resolver", "_rule", "_upstream")

    def __init__(
        self,
        upstream: Upstream,
        resolver: Resolver,
        clock: Callable[[], float],
        rule: EndpointRule | None = None,
    ) -> None:
        self._upstream = upstream
        self._rule = rule or EndpointRule(upstream)
        self._resolver = resolver
        self._clock = clock
        # Only who uses TLS pays for it: reading the system's certificates takes some 20 ms.
        self._context: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"<Dialer with {self._resolver!r}>"

    async def dial(self, target: Target, make: Callable[[], P], seconds: float) -> P:
        """A protocol whose connection stands; raises ConnectFailed, ConnectTimeout or Overflow."""
        try:
            async with asyncio.timeout(seconds):
                return await self._dial(target, make, self._clock() + seconds)
        except TimeoutError as error:  # ours, or the kernel's
            text = "The model did not accept a connection in time."
            raise ConnectTimeout(
                text, f"no connection to {target.place} in {seconds:g} s"
            ) from error
        except OSError as error:
            if error.errno in _OURS:
                text = "The gateway can open no more connections; try again."
                raise Overflow(text, f"no connection to {target.place}: {error}") from error
            text = "The model cannot be reached."
            raise ConnectFailed(text, f"no connection to {target.place}: {error}") from error

    async def _dial(self, target: Target, make: Callable[[], P], until: float) -> P:
        loop = asyncio.get_running_loop()
        if target.unix_path:
            _, protocol = await loop.create_unix_connection(make, target.unix_path)
            return protocol
        if target.is_literal:
            self._allowed([target.host], target)
            return await self._connect(target, target.host, make)
        addresses = await self._resolver.addresses(target.host, self._clock())
        addresses = self._allowed(addresses, target)[:MOST_ADDRESSES]
        for left, address in zip(range(len(addresses), 1, -1), addresses, strict=False):
            try:
                # One that swallows what is sent to it must leave time for the others.
                async with asyncio.timeout((until - self._clock()) / left):
                    return await self._connect(target, address, make)
            except OSError as error:
                if error.errno in _OURS:
                    raise
                self._resolver.shun(target.host, address, self._clock())
        try:
            return await self._connect(target, addresses[-1], make)
        except OSError:
            self._resolver.shun(target.host, addresses[-1], self._clock())
            raise

    async def _connect(self, target: Target, address: str, make: Callable[[], P]) -> P:
        context, name = None, None
        if target.is_tls:
            context, name = self._tls(), target.host.rstrip(".")
        transport, protocol = await asyncio.get_running_loop().create_connection(
            make, address, target.port, ssl=context, server_hostname=name
        )
        # Small pieces must not wait for the acknowledgement of earlier ones.
        raw = transport.get_extra_info("socket")
        own, peer = (transport.get_extra_info(name) for name in ("sockname", "peername"))
        if own and peer and own[0] == peer[0]:
            wrong = self._rule.wrong_with_connection(own[0], peer[0], target.port)
            if wrong is not None:
                transport.abort()
                raise OSError(wrong)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return protocol

    def _allowed(self, addresses: list[str], target: Target) -> list[str]:
        """The addresses that the settings let us speak to, whatever name leads there."""
        wrong = {one: self._rule.wrong_with_address(one, target.port) for one in addresses}
        allowed = [address for address in addresses if wrong[address] is None]
        if not allowed:
            raise OSError(next(filter(None, wrong.values()), "it has no address"))
        return allowed

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = client_context(self._upstream)
        return self._context
