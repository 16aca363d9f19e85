"""Distances between texts by operators' own functions, kept on a short lead.

Only what `release.compare_plugins` names is imported, and only here, in the control process. What
such a function raises, or how long it takes, never harms more than its own pair: it runs in a
thread of its own, which is given up when it does not answer in time, and after a few times it is
not asked any more. A thread cannot be ended, so one that hangs for ever stays until the process
ends: at most `MOST_HANGS` of each.
"""

from __future__ import annotations

import importlib
import logging
import math
import queue
import threading
from collections.abc import Sequence

from gateway.release.compare.texts import Distance

_log = logging.getLogger(__name__)

CALL_SECONDS = 2.0
MOST_HANGS = 3


class PluginFailed(Exception):
    """The text says what is wrong with it."""


class Plugin:
    """One function and the thread that it runs in."""

    def __init__(self, name: str, call_seconds: float = CALL_SECONDS) -> None:
        self.name = name
        self.hangs = 0
        self._call_seconds = call_seconds
        self._asked: queue.SimpleQueue[tuple[str, str, queue.SimpleQueue[object]]] | None = None

    def __repr__(self) -> str:
        return f"<Plugin {self.name}, hung {self.hangs} times>"

    def __call__(self, one: str, other: str) -> float:
        """Raises PluginFailed when there is no distance."""
        if self.hangs >= MOST_HANGS:
            raise PluginFailed(f"did not answer {MOST_HANGS} times; it is not asked any more")
        if self._asked is None:
            self._asked = queue.SimpleQueue()
            threading.Thread(target=self._run, args=(self._asked,), daemon=True).start()
        answer: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._asked.put((one, other, answer))
        try:
            found = answer.get(timeout=self._call_seconds)
        except queue.Empty:
            self.hangs += 1
            self._asked = None  # the next call gets another thread
            raise PluginFailed(f"did not answer within {self._call_seconds:g} s") from None
        if isinstance(found, BaseException):
            raise PluginFailed(f"raised {type(found).__name__}")
        if not isinstance(found, int | float) or not math.isfinite(found):
            raise PluginFailed("gave no number")
        return float(found)

    def _run(self, asked: queue.SimpleQueue[tuple[str, str, queue.SimpleQueue[object]]]) -> None:
        function: object = None
        while True:
            one, other, answer = asked.get()
            try:
                if function is None:  # importing may take long, or hang, as well
                    module, _, name = self.name.partition(":")
                    function = getattr(importlib.import_module(module), name)
                answer.put(function(one, other))  # type: ignore[operator]  # told if it is none
            except BaseException as error:  # whatever it is, it is the plug-in's
                answer.put(error)
            if self._asked is not asked:
                return  # given up meanwhile


class Plugins:
    """Those that may be used."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._plugins = {name: Plugin(name) for name in allowed}
        self.errors: dict[str, int] = {}  # by name
        self.problems: dict[str, str] = {}  # by name, the newest

    def __repr__(self) -> str:
        return f"<Plugins {', '.join(self._plugins)}>"

    def find(self, name: str) -> Distance | None:
        """The distance of that name; None for "" and, with a word about it, for a forbidden one."""
        if not name:
            return None
        plugin = self._plugins.get(name)
        if plugin is None:
            self.note(name, "is not named in the setting release.compare_plugins")
        return plugin

    def note(self, name: str, problem: str) -> None:
        self.errors[name] = self.errors.get(name, 0) + 1
        if self.problems.get(name) != problem:
            self.problems[name] = problem
            _log.warning("The plug-in %s for comparing answers %s.", ascii(name), problem)
