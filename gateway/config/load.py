"""Start-up settings out of file, environment and flags: default < file < variable < flag.

Everything that is wrong is found in one go. A value that a higher layer hides is judged as well:
it would bite on the day the higher layer is gone. Only a secret's file is read when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from gateway.config.catalog import Section, catalog, sections
from gateway.config.checks import findings
from gateway.config.environment import read_environment
from gateway.config.flags import read_flags
from gateway.config.layer import Given, Layer
from gateway.config.secret_file import read_secret
from gateway.config.settings import Settings
from gateway.config.toml_file import read_file
from gateway.config.variables import CONFIG_VARIABLE
from gateway.errors import Problem, SettingsError

DEFAULT_FILE = Path("config/gateway.toml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, where each one came from by dotted key, and the file that was read, if any."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """Builds the settings, or raises SettingsError with every problem; reads files, no network."""
    file = settings_file(path, environ)
    layers = [read_file(file)] if file else []
    layers += [read_environment(environ), read_flags(flags)]
    problems = [problem for layer in layers for problem in layer.problems]
    broken = {key for layer in layers for key in layer.broken}

    given = _winners(layers)
    for key, winner in given.items():
        if winner.is_path:
            try:
                secret = read_secret(str(winner.value))
            except ValueError as error:
                problems.append(Problem(winner.where, str(error)))
                broken.add(key)
            else:
                given[key] = Given(secret, winner.where, winner.origin)

    settings = _build({key: value for key, value in given.items() if key not in broken})
    channels = tuple(channel for layer in layers for channel in layer.channels)
    settings = msgspec.structs.replace(settings, notify=channels)
    # What follows only from a default that stands in for a broken value helps nobody.
    problems += [
        Problem(_where(finding.keys, given), finding.what)
        for finding in findings(settings)
        if broken.isdisjoint(finding.keys)
    ]
    if problems:
        raise SettingsError(tuple(problems))
    origins = {key: given[key].origin if key in given else "default" for key in catalog()}
    return Loaded(settings, MappingProxyType(origins), file)


def settings_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one named, else config/gateway.toml if it is there, else none."""
    if path is not None:
        return path
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE])
    # lexists: a link that leads nowhere is a mistake to report, not a file that is not there.
    return DEFAULT_FILE if os.path.lexists(DEFAULT_FILE) else None


def _winners(layers: list[Layer]) -> dict[str, Given]:
    merged: dict[str, Given] = {}
    for layer in layers:
        merged |= layer.given
    return merged


def _build(given: Mapping[str, Given]) -> Settings:
    filled = {name: _fill(section, given) for name, section in sections().items()}
    return msgspec.structs.replace(Settings(), **filled)


def _fill(section: Section, given: Mapping[str, Given]) -> object:
    values = {s.name: given[s.key].value for s in section.settings if s.key in given}
    return section.struct(**values)


def _where(keys: tuple[str, ...], given: Mapping[str, Given]) -> str:
    """Where to mend it: at the first of the keys that somebody gave."""
    first = next((key for key in keys if key in given), keys[0])
    where = given[first].where if first in given else first
    return where if where.endswith(first) else f"{where} ({first})"
