"""What a service manager hears."""

from __future__ import annotations

import time

import pytest

from gateway.process.notify import Notifier
from tests.process.manager import Manager


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_life_of_a_gateway_is_told_in_the_managers_words(is_abstract: bool) -> None:
    with Manager(is_abstract=is_abstract) as manager:
        notifier = Notifier(manager.address)
        notifier.ready("Serving.")
        notifier.reloading("Replacing.")
        notifier.status("Fine.")
        notifier.alive()
        notifier.stopping("Ending.", 37.5)
        manager.take()
        reloading = manager.messages.pop(1)
        assert manager.messages == [
            ["READY=1", "STATUS=Serving."],
            ["STATUS=Fine."],
            ["WATCHDOG=1"],
            ["STOPPING=1", "EXTEND_TIMEOUT_USEC=37500000", "STATUS=Ending."],
        ]
        assert (reloading[0], reloading[2]) == ("RELOADING=1", "STATUS=Replacing.")
        name, _, moment = reloading[1].partition("=")
        assert name == "MONOTONIC_USEC"
        assert abs(int(moment) / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < 60
        notifier.close()
        notifier.alive()  # nobody is spoken to any more


def test_the_managers_variables_are_taken_and_no_child_sees_them() -> None:
    environ = {
        "NOTIFY_SOCKET": "/run/none",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": "42",
        "PATH": "/bin",
    }
    notifier = Notifier.taken_from(environ, 42)
    assert environ == {"PATH": "/bin"}
    assert notifier.watchdog_seconds == 30.0
    notifier.ready("A manager that is gone is no reason to fail.")
    notifier.close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "41"},
    ],
)
def test_without_a_watchdog_for_this_process_there_is_none(environ: dict[str, str]) -> None:
    assert Notifier.taken_from(environ, 42).watchdog_seconds is None


@pytest.mark.parametrize("address", ["", "tcp:1", "relative"])
def test_without_an_address_that_can_be_used_nothing_is_said(address: str) -> None:
    notifier = Notifier(address)
    notifier.ready("Serving.")
    assert repr(notifier) == "<Notifier to nobody>"
