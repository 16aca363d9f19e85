"""Processes that lost their parent."""

from __future__ import annotations

import os
import sys

import pytest

from gateway.process.orphans import reap_orphans
from tests.process.harness import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def ended_child() -> int:
    """A child that has ended and that nobody has asked about."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    wait_until(
        lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None,
        "the child has ended",
    )
    return pid


def test_what_has_ended_is_taken_in_but_for_our_own() -> None:
    for _ in range(3):
        ended_child()
    assert reap_orphans(set()) == 3
    ours = ended_child()
    assert reap_orphans({ours}) == 0
    assert os.waitpid(ours, 0) == (ours, 0)


def test_without_children_there_is_nothing_to_do() -> None:
    assert reap_orphans(set()) == 0
