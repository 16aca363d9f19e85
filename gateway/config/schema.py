"""The settings file as JSON Schema, for editors and checkers."""

from __future__ import annotations

import typing

import msgspec

from gateway.config.catalog import FILE_SUFFIX, Section, Setting, sections
from gateway.config.channel import Channel
from gateway.config.channels import SECRETS, SECTION, channel_help

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> dict[str, object]:
    """Describes what the settings file may hold; unknown names are not allowed anywhere."""
    return {
        "$schema": _DIALECT,
        "title": "Graygate settings",
        "type": "object",
        "properties": {
            **{name: _section_schema(section) for name, section in sections().items()},
            SECTION: _channels_schema(),
        },
        "additionalProperties": False,
    }


def _channels_schema() -> dict[str, object]:
    """A list of tables; all fields of all kinds of channels."""
    hints = typing.get_type_hints(Channel, include_extras=True)
    properties: dict[str, object] = {}
    for name in hints:
        told = {"description": channel_help(name)}
        if name in SECRETS:
            properties[name] = {"type": "string", "writeOnly": True, **told}
            properties[name + FILE_SUFFIX] = {
                "type": "string",
                "minLength": 1,
                "description": f"path of a file that holds {name}",
            }
        else:
            properties[name] = msgspec.json.schema(hints[name])
    item = {
        "type": "object",
        "description": "One place where notifications go.",
        "properties": properties,
        "required": ["name", "kind"],
        "additionalProperties": False,
    }
    return {"type": "array", "description": "Where notifications go.", "items": item}


def _section_schema(section: Section) -> dict[str, object]:
    properties: dict[str, object] = {}
    twice: list[object] = []
    for setting in section.settings:
        properties[setting.name] = _value_schema(setting)
        if setting.is_secret:
            by_file = setting.name + FILE_SUFFIX
            properties[by_file] = {
                "type": "string",
                "minLength": 1,
                "description": f"path of a file that holds {setting.name}",
            }
            twice.append({"not": {"required": [setting.name, by_file]}})
    schema: dict[str, object] = {
        "type": "object",
        "description": section.help,
        "properties": properties,
        "additionalProperties": False,
    }
    return schema | ({"allOf": twice} if twice else {})


def _value_schema(setting: Setting) -> dict[str, object]:
    if setting.is_secret:
        return {"type": "string", "writeOnly": True, "description": setting.help}
    schema: dict[str, object] = msgspec.json.schema(setting.hint)
    return schema | {"default": msgspec.to_builtins(setting.default)}
