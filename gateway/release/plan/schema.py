"""A plan's file as JSON Schema, for editors and checkers."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.release.plan.plan import DURATION_PATTERN, Plan

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Describes what a plan may hold; unknown names are not allowed anywhere."""
    (reference,), parts = msgspec.json.schema_components([Plan], ref_template="#/$defs/{name}")
    for part in parts.values():
        part["additionalProperties"] = False
        for field in part.get("properties", {}).values():
            if field.get("pattern") == DURATION_PATTERN:
                field["type"] = ["number", "string"]
    parts["Plan"]["required"] = ["route", "candidate"]  # a preset brings the stages
    parts["Plan"].get("properties", {})["stages"]["maxItems"] = 100
    return {
        "$schema": _DIALECT,
        "title": "Graygate release plan",
        **reference,
        "$defs": parts,
    }
