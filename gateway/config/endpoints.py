"""Where endpoints may be: what `[upstream]` allows, and never the gateway itself or its store.

Asked twice: of the URL when it is written, and of the address when a connection is made, since a
name may lead anywhere tomorrow. Pure: no name is resolved here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from gateway.config.networks import networks_of
from gateway.config.settings import Settings, Upstream

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

UNSAFE = "unsafe"
EVERY_PORT = "*"
SCHEME_PORTS = {"http": 80, "https": 443}
_STORE_PORT, _SENTINEL_PORT = 6379, 26379
_UNSPECIFIED = ("0.0.0.0", "::", "")

# Where clouds hand out credentials to whoever asks, and addresses that are nobody's in particular.
_UNSAFE_NETWORKS = (
    *("169.254.0.0/16", "fe80::/10"),
    *("100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128"),
    *("0.0.0.0/8", "::/128", "224.0.0.0/4", "255.255.255.255/32", "ff00::/8"),
)
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Place:
    """A port of our own; an unspecified host stands for every address of this machine."""

    host: str
    port: int
    what: str


@dataclass(frozen=True)
class EndpointRule:
    """Says why an endpoint may not be where it is; None = it may."""

    upstream: Upstream = field(default_factory=Upstream)
    own: tuple[Place, ...] = ()
    own_socket: str = ""  # path of the store's socket

    def wrong_with_url(self, url: str) -> str | None:
        """Of a URL that is well formed; what a name leads to is seen when it is connected to."""
        parts = urlsplit(url)
        if parts.scheme == "http+unix":
            is_store = unquote(parts.netloc) == self.own_socket != ""
            return "it is the socket of the store" if is_store else None
        port = parts.port or SCHEME_PORTS[parts.scheme]
        host = (parts.hostname or "").rstrip(".")
        if not self._is_allowed_port(port):
            return f"port {port} is not among the ports of upstream.allowed_ports"
        if host == "localhost" or host.endswith(".localhost"):
            return self._wrong_with_own("127.0.0.1", port)
        try:
            address = ip_address(host)
        except ValueError:
            place = next((p for p in self.own if p.port == port and p.host == host), None)
            return _loop(place) if place else None
        return self.wrong_with_address(str(address), port)

    def wrong_with_address(self, address: str, port: int) -> str | None:
        """Of where a connection is about to go."""
        return self._remembered(address, port)

    @cached_property
    def _remembered(self) -> Callable[[str, int], str | None]:
        # 30 us for each new connection, to the same few endpoints again and again.
        return lru_cache(maxsize=1024)(self._judged)

    def _judged(self, address: str, port: int) -> str | None:
        for one in _meant(ip_address(address)):
            if any(one in network for network in self._denied):
                return f"{one} is in a network that upstream.denied_networks names"
        if not any(one in network for one in _meant(ip_address(address)) for network in self._all):
            return f"{address} is in no network of upstream.allowed_networks"
        if not self._is_allowed_port(port):
            return f"port {port} is not among the ports of upstream.allowed_ports"
        return self._wrong_with_own(address, port)

    def wrong_with_connection(self, own: str, peer: str, port: int) -> str | None:
        """Of a connection that stands: one end of it is told by the other when both are ours."""
        return self._wrong_with_own(peer, port, is_here=own == peer)

    def _wrong_with_own(self, address: str, port: int, *, is_here: bool = False) -> str | None:
        for place in self.own:
            if place.port != port:
                continue
            here = is_here or any(one.is_loopback for one in _meant(ip_address(address)))
            host = "127.0.0.1" if place.host == "localhost" else place.host
            same = {str(one) for one in _meant(ip_address(address))} & {host.strip("[]")}
            if same or (here and place.host in _UNSPECIFIED):
                return _loop(place)
        return None

    def _is_allowed_port(self, port: int) -> bool:
        return self._ports is None or any(first <= port <= last for first, last in self._ports)

    @cached_property
    def _denied(self) -> Networks:
        return endpoint_networks(self.upstream.denied_networks)

    @cached_property
    def _all(self) -> Networks:
        return endpoint_networks(self.upstream.allowed_networks)

    @cached_property
    def _ports(self) -> tuple[tuple[int, int], ...] | None:
        return port_ranges(self.upstream.allowed_ports)


def endpoint_rule(settings: Settings) -> EndpointRule:
    """The rule of a gateway that runs with these settings."""
    listen, admin = settings.listen, settings.admin
    places = [
        Place(listen.host, listen.port, "the gateway's own data port"),
        Place(admin.host, admin.port, "the gateway's own admin port"),
    ]
    scheme, _, rest = settings.redis.url.partition("://")
    if scheme == "unix":
        return EndpointRule(settings.upstream, tuple(places), rest.partition("?")[0])
    usual = _SENTINEL_PORT if scheme == "redis+sentinel" else _STORE_PORT
    for server in rest.partition("/")[0].rpartition("@")[2].split(","):
        parts = urlsplit(f"//{server}")
        places.append(Place(parts.hostname or "", parts.port or usual, "the port of the store"))
    return EndpointRule(settings.upstream, tuple(places))


def endpoint_networks(words: Iterable[str]) -> Networks:
    """The networks that these words name; raises ValueError for one that names none."""
    return tuple(
        network
        for word in words
        for network in networks_of(_UNSAFE_NETWORKS if word == UNSAFE else (word,))
    )


def port_ranges(words: Iterable[str]) -> tuple[tuple[int, int], ...] | None:
    """First and last port of each range, None = every port; raises ValueError for what is none."""
    ranges: list[tuple[int, int]] | None = []
    for word in words:
        if word == EVERY_PORT:
            ranges = None
            continue
        first, _, last = word.partition("-")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= 65_535:
            raise ValueError(word)
        if ranges is not None:
            ranges.append((low, high))
    return None if ranges is None else tuple(ranges)


def _meant(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 one that is wrapped in it, if any."""
    if isinstance(address, IPv4Address):
        return (address,)
    wrapped = address.ipv4_mapped or address.sixtofour
    if wrapped is None and address in _NAT64:
        wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
    bare = IPv6Address(int(address))  # without the name of an interface
    return (bare, wrapped) if wrapped else (bare,)


def _loop(place: Place) -> str:
    return f"it is {place.what}: requests would go in a circle or reach what is not theirs"
