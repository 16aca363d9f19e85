from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.release.plan.schema import schema

SAMPLES = sorted((Path(__file__).parents[3] / "config" / "plans").glob("*.toml"))


def test_no_unknown_name_is_allowed_anywhere() -> None:
    parts = schema()["$defs"]
    assert all(part["additionalProperties"] is False for part in parts.values())


def test_a_duration_is_text_or_a_number() -> None:
    hold = schema()["$defs"]["Stage"]["properties"]["hold"]
    assert hold["type"] == ["number", "string"]
    assert re.search(hold["pattern"], "1h30m")
    assert not re.search(hold["pattern"], "soon")


def test_a_preset_brings_the_stages() -> None:
    assert schema()["$defs"]["Plan"]["required"] == ["route", "candidate"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_schema_knows_every_name_of_the_samples(path: Path) -> None:
    told = schema()
    unknown = list(names_without_a_place(tomllib.loads(path.read_text()), told["$defs"]["Plan"]))
    assert unknown == []


def names_without_a_place(value: Any, part: Any) -> Any:
    parts = schema()["$defs"]
    for name, inner in value.items():
        place = part["properties"].get(name)
        if place is None:
            yield name
            continue
        found = re.search(r"#/\$defs/(\w+)", json.dumps(place))
        for table in inner if isinstance(inner, list) else [inner]:
            if isinstance(table, dict) and found:
                yield from names_without_a_place(table, parts[found[1]])
