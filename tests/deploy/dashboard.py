"""The Grafana dashboard of `deploy/grafana`: its panels and what they ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.rules import DEPLOY

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "graygate.json").read_text())


def panels() -> list[dict[str, Any]]:
    """Also those that a closed row keeps to itself."""
    found: list[dict[str, Any]] = []
    for panel in DASHBOARD["panels"]:
        found += [panel, *panel.get("panels", [])]
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Where a query stands, and the query."""
    for panel in panels():
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        if "expr" in note:
            yield f"annotation {note['name']}", note["expr"]


def asked(expression: str, window: str = "1m") -> str:
    """The query as Grafana sends it for all versions of the route chat."""
    expression = expression.replace("$__rate_interval", window)
    chosen = {"$job": "graygate", "$route": "chat", "$version": ".*"}
    return re.sub(r"\$(?:job|route|version)\b", lambda found: chosen[found[0]], expression)
