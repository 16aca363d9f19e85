"""Words for networks mean what an operator expects."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from gateway.config.networks import networks_of


def holds(word: str, address: str) -> bool:
    return any(ip_address(address) in network for network in networks_of([word]))


@pytest.mark.parametrize(
    ("word", "inside", "outside"),
    [
        ("private", ["127.0.0.1", "::1", "10.9.8.7", "172.31.0.1", "192.168.1.1", "fd00::1"],
         ["8.8.8.8", "172.32.0.1", "169.254.1.1", "2001:db8::1", "100.64.0.1"]),
        ("*", ["8.8.8.8", "::1"], []),
        ("10.0.0.0/8", ["10.1.1.1"], ["11.1.1.1", "::1"]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]),
    ],
)  # fmt: skip
def test_a_word_stands_for_its_networks(word: str, inside: list[str], outside: list[str]) -> None:
    assert all(holds(word, address) for address in inside)
    assert not any(holds(word, address) for address in outside)


def test_another_word_is_no_network() -> None:
    with pytest.raises(ValueError, match="publik"):
        networks_of(["publik"])
