"""The Compose file, read; its commands with other ports and names, for one machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
FILE = FOLDER / "compose.yaml"


def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="yaml is not installed; make tools")
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def published(service: dict[str, Any]) -> dict[int, int]:
    """Port inside -> port outside; all on loopback."""
    found = {}
    for text in service.get("ports", []):
        match = re.fullmatch(r"127\.0\.0\.1:(\d+):(\d+)", text)
        assert match, f"{text} is published beyond loopback"
        found[int(match[2])] = int(match[1])
    return found


def addressed(text: str) -> list[tuple[str, int]]:
    """Hosts and ports of all URLs in a text."""
    return [(host, int(port)) for host, port in re.findall(r"\w+://([\w.-]+):(\d+)", text)]
