"""The words that stand for networks in the settings."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

EVERYONE = "*"
PRIVATE = "private"

_WORDS = {
    EVERYONE: ("0.0.0.0/0", "::/0"),
    # Who is in front of a gateway usually stands in the same private network; strangers do not.
    PRIVATE: (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
    ),
}


def networks_of(words: Iterable[str]) -> tuple[Network, ...]:
    """The networks that these words name; raises ValueError for one that names none."""
    return tuple(ip_network(network) for word in words for network in _WORDS.get(word, (word,)))
