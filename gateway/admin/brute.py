"""Bad tokens by peer: how many somebody tried of late, in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

MOST_TRIES = 100
WINDOW_SECONDS = 300.0
MOST_PEERS = 10_000


@dataclass(slots=True)
class _Tries:
    since: float
    count: int = 0


class BadTokens:
    """Counts what a peer tried; a window after the first try everything is forgotten."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, _Tries] = OrderedDict()

    def __repr__(self) -> str:
        return f"<BadTokens of {len(self._peers)} peers>"

    def note(self, peer: str, now: float) -> int:
        """One more bad token; how many it are now."""
        name = network_of(peer)
        tries = self._peers.get(name)
        if tries is None or now - tries.since >= WINDOW_SECONDS:
            tries = self._peers[name] = _Tries(now)
            self._peers.move_to_end(name)
            if len(self._peers) > MOST_PEERS:
                self._peers.popitem(last=False)
        tries.count += 1
        return tries.count


def network_of(peer: str) -> str:
    """Who shares an IPv6 network of 64 bits has all its addresses to try from."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4 or address.ipv4_mapped:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
