from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts in a folder without config/gateway.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def toml(empty_folder: Path) -> Callable[[str], Path]:
    """Writes a settings file and gives its short, relative path."""

    def write(text: str) -> Path:
        path = Path("g.toml")
        path.write_text(text)
        return path

    return write
