"""The settings file: TOML, one table per section."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from gateway.config.catalog import Section, sections
from gateway.config.channels import SECTION, read_channels
from gateway.config.kinds import shown
from gateway.config.layer import Layer, plain
from gateway.config.suggest import section_meant, setting_meant

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_file(path: Path) -> Layer:
    """Reads the file and judges every value in it; what is wrong is in the layer's problems."""
    layer = Layer()
    text = _read_text(path, layer)
    document = {} if text is None else _parse(path, text, layer)
    for name, table in document.items():
        section = sections().get(name)
        where = f"{path} {plain(name)}"
        if name == SECTION:
            layer.channels = read_channels(path, table, layer)
        elif section is None:
            kind = "a section" if isinstance(table, dict) else "a setting"
            layer.refuse(where, f"is not {kind}{section_meant(name, sections())}")
        elif not isinstance(table, dict):
            layer.refuse(where, f"must be a table that starts with [{name}], not {shown(table)}")
        else:
            _read_section(path, section, table, layer)
    return layer


def _read_section(path: Path, section: Section, table: dict[str, object], layer: Layer) -> None:
    by_key = {key: setting for setting in section.settings for key in setting.keys}
    for name, value in table.items():
        key = f"{section.name}.{name}"
        where = f"{path} {section.name}.{plain(name)}"
        setting = by_key.get(key)
        if setting is None:
            layer.refuse(where, f"is not a setting{setting_meant(section.name, name)}")
        else:
            layer.take(setting, key, value, where=where, origin=f"file {path}", is_text=False)


def _read_text(path: Path, layer: Layer) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        layer.refuse(str(path), "there is no such settings file")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        layer.refuse(f"{path} line {line}", "is not valid UTF-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        layer.refuse(str(path), f"the settings file cannot be read: {reason}")
    return None


def _parse(path: Path, text: str, layer: Layer) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        what = message[: place.start()] if place else message
        line = place.group(1) if place and place.group(1) else len(text.splitlines())
        column = f" (column {place.group(2)})" if place and place.group(2) else ""
        layer.refuse(f"{path} line {line}", f"is not valid TOML: {what}{column}")
    except (ValueError, RecursionError):
        # Numbers of thousands of digits, brackets nested a thousand deep.
        layer.refuse(str(path), "is not valid TOML: a value is too large or nested too deeply")
    return {}
