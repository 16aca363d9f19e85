from __future__ import annotations

from typing import Any

import msgspec

from gateway.config.catalog import catalog, sections
from gateway.config.schema import settings_schema

# The keywords by which a checker judges; the rest only tells.
JUDGING = {"type", "properties", "additionalProperties", "enum", "anyOf", "items", "allOf", "not"}
JUDGING |= {"required", "minimum", "maximum", "exclusiveMinimum", "minLength"}
TELLING = {"$schema", "title", "description", "default", "writeOnly"}


def schema() -> Any:
    return msgspec.json.decode(msgspec.json.encode(settings_schema()))


def keywords(part: Any) -> set[str]:
    found = set(part) - {"properties"}
    for inner in part.get("properties", {}).values():
        found |= keywords(inner)
    for name in ("anyOf", "allOf"):
        for inner in part.get(name, []):
            found |= keywords(inner)
    return found | ({"properties"} if "properties" in part else set())


def test_it_names_every_setting_and_the_file_of_every_secret_and_nothing_else() -> None:
    named = [
        f"{section}.{name}"
        for section, part in schema()["properties"].items()
        if section != "notify"
        for name in part["properties"]
    ]
    assert named == [key for setting in catalog().values() for key in setting.keys]


def test_unknown_names_are_not_allowed_anywhere() -> None:
    assert schema()["additionalProperties"] is False
    parts = schema()["properties"]
    channel = parts.pop("notify")["items"]
    assert channel["additionalProperties"] is False
    assert list(parts) == list(sections())
    assert all(part["additionalProperties"] is False for part in parts.values())


def test_bounds_and_choices_are_those_of_the_settings() -> None:
    parts = schema()["properties"]
    assert parts["listen"]["properties"]["port"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 65535,
        "default": 8080,
        "description": "data port, where clients send their requests",
    }
    assert set(parts["log"]["properties"]["level"]["enum"]) == {
        "debug",
        "info",
        "warning",
        "error",
    }
    assert parts["routing"]["properties"]["trusted_proxies"]["items"] == {"type": "string"}


def test_a_secret_is_text_without_a_default_and_not_given_twice() -> None:
    redis = schema()["properties"]["redis"]
    assert redis["properties"]["password"]["type"] == "string"
    assert "default" not in redis["properties"]["password"]
    assert {"not": {"required": ["password", "password_file"]}} in redis["allOf"]


def test_only_plain_keywords_of_json_schema_are_used() -> None:
    assert keywords(schema()) <= JUDGING | TELLING
