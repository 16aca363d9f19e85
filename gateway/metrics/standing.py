"""How the gateway's own processes are: plain data on its way to health and metrics."""

from __future__ import annotations

import msgspec


class Vitals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a process says of itself; 0 = it cannot tell."""

    started_at: float = 0.0  # by the wall clock
    descriptors: int = 0  # open ones
    most_descriptors: int = 0  # that it may have open
    resident_bytes: int = 0
    lag_seconds: float = 0.0  # by which its loop was late at the worst, a short while ago


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the supervisor knows; control keeps the latest."""

    started_at: float = 0.0  # by the wall clock
    workers: int = 0  # that there should be
    is_draining: bool = False  # the gateway is about to end
    restarts: dict[str, int] = {}  # role -> deaths that nobody had asked for
    looping: tuple[str, ...] = ()  # roles that die again and again as soon as they start
    reloads: int = 0  # that settings were taken over while running
    failed_reloads: int = 0
    reloaded_at: float = 0.0  # when settings were last taken over, by the wall clock
    is_reload_good: bool = True  # whether the last attempt to take them over was


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the gateway, by its role: supervisor, control, worker 0, worker 1..."""

    role: str
    vitals: Vitals
