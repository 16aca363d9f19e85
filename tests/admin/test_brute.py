from __future__ import annotations

import pytest

from gateway.admin.brute import MOST_PEERS, WINDOW_SECONDS, BadTokens, network_of


def test_tries_are_counted_by_peer_and_forgotten_after_a_window() -> None:
    bad = BadTokens()
    assert [bad.note("10.0.0.1", 5.0), bad.note("10.0.0.1", 6.0), bad.note("10.0.0.2", 6.0)] == [
        1, 2, 1,
    ]  # fmt: skip
    assert bad.note("10.0.0.1", 5.0 + WINDOW_SECONDS - 0.01) == 3
    assert bad.note("10.0.0.1", 5.0 + WINDOW_SECONDS) == 1


def test_no_more_peers_are_remembered_than_fit() -> None:
    bad = BadTokens()
    for number in range(MOST_PEERS + 5):
        bad.note(f"peer {number}", 1.0)
    assert repr(bad) == f"<BadTokens of {MOST_PEERS} peers>"
    assert bad.note("peer 0", 2.0) == 1
    assert bad.note(f"peer {MOST_PEERS + 4}", 2.0) == 2


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("", ""),
    ],
)
def test_who_has_a_whole_network_is_one_peer(peer: str, network: str) -> None:
    assert network_of(peer).removeprefix("::ffff:a00:1") in (network, "")
