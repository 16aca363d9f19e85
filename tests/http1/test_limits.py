from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from gateway.http1.limits import Limits


def test_limits_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().line_bytes = 1  # type: ignore[misc]


def test_P25_the_defaults_let_pass_what_every_server_must_take() -> None:
    assert Limits().line_bytes >= 8000  # RFC 9112, 3
    assert Limits().head_bytes >= Limits().line_bytes
