"""What one source says about the settings: file, environment or flags.

Every source hands its values to a `Layer`, which judges them one by one, so that a mistake never
hides the next one. Which layer wins is decided later, in `load.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from gateway.config import kinds
from gateway.config.catalog import Setting
from gateway.config.channel import Channel
from gateway.errors import Problem


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody gave; `is_path` when it names the file that holds the secret."""

    value: object
    where: str
    origin: str
    is_path: bool = False


@dataclass(slots=True)
class Layer:
    """The values of one source by dotted key, what is wrong with it, and which keys are spoiled."""

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    channels: tuple[Channel, ...] = ()
    _seen: dict[str, str] = field(default_factory=dict)  # where each key was first given

    def refuse(self, where: str, what: str) -> None:
        self.problems.append(Problem(where, what))

    def take(
        self, setting: Setting, key: str, value: object, *, where: str, origin: str, is_text: bool
    ) -> None:
        """Takes `value` for one of the setting's keys; `is_text` when it came as a line of text."""
        first = self._seen.setdefault(setting.key, where)
        if first != where:
            self._break(setting, where, f"is given twice, also as {first}; keep one of them")
            return
        if key != setting.key:
            if not isinstance(value, str) or not value:
                self._break(setting, where, "must be the path of the file that holds the secret")
                return
            self.given[setting.key] = Given(value, where, origin, is_path=True)
            return
        if isinstance(value, str) and not _is_utf8(value):
            self._break(setting, where, "is not valid UTF-8")
            return
        if is_text and isinstance(value, str):
            value = kinds.from_text(setting.hint, value)
        try:
            accepted = kinds.accept(setting.hint, value)
        except ValueError as error:
            found = "" if setting.is_secret else f", not {kinds.shown(value)}"
            self._break(setting, where, f"{error}{found}")
            return
        self.given[setting.key] = Given(accepted, where, origin)

    def _break(self, setting: Setting, where: str, what: str) -> None:
        self.broken.add(setting.key)
        self.refuse(where, what)


def plain(name: str) -> str:
    """A name as it may stand in a message: quoted when it could break the line or mislead."""
    return name if name.isprintable() and name and " " not in name else json.dumps(name)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
