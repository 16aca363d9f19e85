from __future__ import annotations

import pytest

from gateway import errors
from gateway.cli.exits import MEANINGS, ExitCode, exit_code_of
from gateway.errors import GraygateError, Problem


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GraygateError("x"), ExitCode.FAILED),
        (errors.SettingsError((Problem("a", "b"),)), ExitCode.USAGE),
        (errors.UsageError("x"), ExitCode.USAGE),
        (errors.NotFoundError("x"), ExitCode.FAILED),
        (errors.RefusedError("x"), ExitCode.FAILED),
        (errors.ConflictError("x"), ExitCode.CONFLICT),
        (errors.ConsentError("x"), ExitCode.WAITS),
        (errors.StoreUnavailable("x"), ExitCode.UNREACHABLE),
        (errors.GatewayUnreachable("x"), ExitCode.UNREACHABLE),
        (errors.StoreDenied("x"), ExitCode.FAILED),
        (errors.StoreReadOnly("x"), ExitCode.FAILED),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: GraygateError, code: ExitCode) -> None:
    assert exit_code_of(error) is code


def test_the_codes_are_the_documented_ones_and_each_has_a_meaning() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]
    assert set(MEANINGS) == set(ExitCode)
