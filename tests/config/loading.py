"""Settings out of a text, for tests that look at what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config.load import Loaded, load
from gateway.errors import SettingsError


def loaded(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    return load(file, environ or {}, flags or {})


def problems(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    """What the settings are refused for, one sentence each."""
    with pytest.raises(SettingsError) as refused:
        loaded(file, environ, flags)
    return [str(problem) for problem in refused.value.problems]


def problem(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> str:
    """The one thing they are refused for."""
    (only,) = problems(file, environ, flags)
    return only
