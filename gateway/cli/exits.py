"""How a command ends: the exit codes, and which error leads to which."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from gateway.errors import (
    ConflictError,
    ConsentError,
    GatewayUnreachable,
    GraygateError,
    NotFoundError,
    RefusedError,
    SettingsError,
    StoreUnavailable,
    UsageError,
)


class ExitCode(IntEnum):
    """What a script may rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    CONFLICT = 4
    DIFFERS = 5
    ENDED = 6
    STILL_RUNS = 7
    WAITS = 8
    INTERRUPTED = 130


MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.OK: "done",
        ExitCode.FAILED: "what was asked for failed or was refused",
        ExitCode.USAGE: "the command or the settings are wrong",
        ExitCode.UNREACHABLE: "the store or the gateway cannot be reached",
        ExitCode.CONFLICT: "somebody else wrote first; look again, then decide",
        ExitCode.DIFFERS: "something would change (only with --exit-code)",
        ExitCode.ENDED: "the release ended, neither promoted nor rolled back",
        ExitCode.STILL_RUNS: "the time to wait for the release is over; it still runs",
        ExitCode.WAITS: "proposed: it waits for the consent of a second person",
        ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
    }
)


class DoctorCode(IntEnum):
    """How `graygate doctor` ends; its own, as monitoring programs take such codes."""

    WELL = 0
    WARNS = 1
    FAILS = 2


# The nearest class counts: a NotFoundError is a UsageError, but the command itself was right.
_BY_ERROR: Mapping[type[Exception], ExitCode] = MappingProxyType(
    {
        GraygateError: ExitCode.FAILED,
        SettingsError: ExitCode.USAGE,
        UsageError: ExitCode.USAGE,
        NotFoundError: ExitCode.FAILED,
        RefusedError: ExitCode.FAILED,
        StoreUnavailable: ExitCode.UNREACHABLE,
        GatewayUnreachable: ExitCode.UNREACHABLE,
        ConflictError: ExitCode.CONFLICT,
        ConsentError: ExitCode.WAITS,
    }
)


def exit_code_of(error: GraygateError) -> ExitCode:
    """The exit code that an error of ours leads to."""
    return next(_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR)
