"""The settings told to people: the README's table, the sample file, the values in force."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass

import msgspec

from gateway.config import kinds
from gateway.config.catalog import Setting, catalog, sections
from gateway.config.channel import Channel
from gateway.config.channels import SECTION, channel_help
from gateway.config.environment import ALIASES, OTHER_VARIABLES
from gateway.config.load import Loaded
from gateway.config.secret import Secret

_WIDTH = 98
_MASK = "***"

_SAMPLE_HEAD = """\
# Settings of Graygate: what a process needs to start. Routes, weights and lists live in Redis.
#
# Every line that begins with # and no blank is a setting at its default: take the # away to change
# it. A GRAYGATE_SECTION__KEY variable goes before this file, a flag before both. A secret may also
# be named by a file that holds it: password_file = "/run/secrets/redis". Paths start at the folder
# that Graygate is started in. `graygate config check` tells what is wrong, `graygate config show`
# what is in force and why.
"""


_SECRETS_TOLD = (
    'A secret may also be named by a file that holds it: `password_file = "/run/secrets/redis"`, '
    "`GRAYGATE_REDIS__PASSWORD_FILE=/run/secrets/redis`. One line end after it is dropped."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as the documentation shows it."""

    key: str
    variable: str
    takes: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting in force; `value` is masked and fit for JSON."""

    key: str
    value: object
    origin: str

    @property
    def text(self) -> str:
        return _MASK if self.value == _MASK else toml_value(self.value)


def rows() -> list[Row]:
    """All settings, in the order they are declared."""
    return [
        Row(
            key=setting.key,
            variable=setting.variable,
            takes=kinds.words(setting.hint),
            default=toml_value(_plain(setting.default)),
            help=setting.help,
        )
        for setting in catalog().values()
    ]


def render_table() -> str:
    """The settings as a Markdown table, and the variables that are no settings below it."""
    lines = ["| Setting | Variable | Takes | Default | Meaning |", "|---|---|---|---|---|"]
    for row in rows():
        cells = (f"`{row.key}`", f"`{row.variable}`", row.takes, f"`{row.default}`", row.help)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines += ["", _SECRETS_TOLD, "", "Besides, Graygate reads these variables:", ""]
    lines += [f"- `{alias}`: the same as `{catalog()[key].variable}`" for alias, key in _aliases()]
    lines += [f"- `{variable}`: {meaning}" for variable, meaning in OTHER_VARIABLES.items()]
    return "\n".join(lines) + "\n"


def render_sample() -> str:
    """The sample settings file: every setting commented out, at its default."""
    parts = [_SAMPLE_HEAD]
    for section in sections().values():
        parts.append(f"\n[{section.name}]  # {section.help}\n")
        parts += [_sample_lines(setting) for setting in section.settings]
    return "".join([*parts, _sample_channel()])


def show(loaded: Loaded) -> list[Effective]:
    """The values in force and where each came from; secrets are masked."""
    effective = []
    for key, setting in catalog().items():
        value: object = getattr(getattr(loaded.settings, setting.section), setting.name)
        effective.append(Effective(key, _plain(value), loaded.origins[key]))
    return effective


def toml_value(value: object) -> str:
    """A value as it is written in the file."""
    if isinstance(value, list):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    # JSON writes texts, numbers and booleans as TOML does.
    return json.dumps(value, ensure_ascii=False)


def _sample_lines(setting: Setting) -> str:
    takes = kinds.words(setting.hint)
    told = setting.help if takes == "text" else f"{setting.help} ({takes})"
    help_lines = textwrap.wrap(told, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    value = toml_value(_plain(setting.default))
    return "\n".join([*help_lines, f"#{setting.name} = {value}", ""])


def _sample_channel() -> str:
    """One channel with every field that any kind of channel has."""
    sample = {"name": "team", "kind": "webhook", "url": "https://hooks.example.com/graygate"}
    lines = [f"\n#[[{SECTION}]]  # Where notifications go; one such table for each channel.\n"]
    for one in msgspec.structs.fields(Channel):
        default = None if one.default is msgspec.NODEFAULT else _plain(one.default)
        lines.append(f"# {channel_help(one.name)}\n")
        lines.append(f"#{one.name} = {toml_value(sample.get(one.name, default))}\n")
    return "".join(lines)


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        return _MASK if value else ""
    return list(value) if isinstance(value, tuple) else value


def _aliases() -> list[tuple[str, str]]:
    return sorted(ALIASES.items())
