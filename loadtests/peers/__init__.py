"""The proxies that are compared: how each is configured and started, and which processes work.

All of them do the same: keep connections to two versions of a model open, send half of the users
to each (by x-user-id, where the proxy can), and pass on who the client is. Access logs
are off, but where the name says otherwise, and in the gateway: it is measured as it comes, with its
log, once more without, and once compiled. Everything else is as it comes in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from loadtests.peers.caddy import Caddy
from loadtests.peers.direct import Direct
from loadtests.peers.gateway import COMPILED, Gateway
from loadtests.peers.haproxy import HAProxy
from loadtests.peers.nginx import Nginx
from loadtests.peers.plain_aiohttp import PlainAiohttp
from loadtests.peers.program import Peer
from loadtests.peers.sglang import SglangRouter
from loadtests.peers.traefik import Traefik


def all_peers() -> Mapping[str, Peer]:
    peers: tuple[Peer, ...] = (
        Gateway("graygate"),
        Gateway("graygate-nolog", writes_log=False),
        Gateway("graygate-compiled", python=COMPILED),
        Nginx("nginx"),
        Nginx("nginx-log", writes_log=True),
        HAProxy(),
        Traefik(),
        Caddy(),
        SglangRouter(),
        PlainAiohttp(),
        Direct(),
    )
    return {peer.name: peer for peer in peers}
