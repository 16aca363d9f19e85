"""The settings as a list: what each is called in the file and in the environment, what it takes."""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret
from gateway.config.settings import Settings

ENV_PREFIX = "GRAYGATE_"
FILE_SUFFIX = "_file"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `hint` is its annotated type, the only place where its bounds are written."""

    section: str
    name: str
    hint: object
    default: object
    help: str

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        return _variable(self.key)

    @property
    def is_secret(self) -> bool:
        return isinstance(self.default, Secret)

    @property
    def keys(self) -> tuple[str, ...]:
        """All its names in the file: a secret may also be named by a file that holds it."""
        return (self.key, self.key + FILE_SUFFIX) if self.is_secret else (self.key,)

    @property
    def variables(self) -> tuple[str, ...]:
        """All its names in the environment."""
        return tuple(_variable(key) for key in self.keys)


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file and the settings in it, in the order they are declared."""

    name: str
    struct: type[msgspec.Struct]
    help: str
    settings: tuple[Setting, ...]


@functools.cache
def sections() -> Mapping[str, Section]:
    """All sections by name, in the order they are declared."""
    hints = typing.get_type_hints(Settings)
    structs = {name: hint for name, hint in hints.items() if typing.get_origin(hint) is None}
    return MappingProxyType({name: _section(name, hint) for name, hint in structs.items()})


@functools.cache
def catalog() -> Mapping[str, Setting]:
    """All settings by dotted key, in the order they are declared."""
    every = (setting for section in sections().values() for setting in section.settings)
    return MappingProxyType({setting.key: setting for setting in every})


def _variable(key: str) -> str:
    return ENV_PREFIX + key.replace(".", "__").upper()


def _section(name: str, struct: type[msgspec.Struct]) -> Section:
    hints = typing.get_type_hints(struct, include_extras=True)
    settings = tuple(
        Setting(name, field.name, hints[field.name], field.default, _help(hints[field.name]))
        for field in msgspec.structs.fields(struct)
    )
    return Section(name, struct, (struct.__doc__ or "").strip(), settings)


def _help(hint: object) -> str:
    metas = (meta for meta in typing.get_args(hint)[1:] if isinstance(meta, Meta))
    return next(meta.description for meta in metas if meta.description)
