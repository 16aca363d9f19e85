"""The marker of tests that look for what nobody has thought of: `pytest -m fuzz`."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fuzz: as long as GRAYGATE_FUZZ_SECONDS says (each), a moment by default"
    )
