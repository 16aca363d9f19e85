from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator

import pytest

from gateway.process.plugins import MOST_HANGS, Plugin, PluginFailed, Plugins

NAME = "graygate_test_distances"


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    made = types.ModuleType(NAME)
    sys.modules[NAME] = made
    yield made
    del sys.modules[NAME]


def test_a_plug_in_gives_its_distance(module: types.ModuleType) -> None:
    module.far = lambda one, other: 1 if one != other else 0  # type: ignore[attr-defined]
    plugin = Plugins([f"{NAME}:far"]).find(f"{NAME}:far")
    assert plugin is not None
    assert (plugin("a", "b"), plugin("a", "a")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda one, other: 1 / 0, "raised ZeroDivisionError"),
        (lambda one, other: sys.exit(3), "raised SystemExit"),
        (lambda one, other: "far", "gave no number"),
        (lambda one, other: float("nan"), "gave no number"),
        (lambda one: 0.0, "raised TypeError"),
        (None, "raised TypeError"),
    ],
)
def test_what_a_plug_in_does_wrong_is_told(
    module: types.ModuleType, function: object, problem: str
) -> None:
    module.far = function  # type: ignore[attr-defined]
    with pytest.raises(PluginFailed) as failed:
        Plugin(f"{NAME}:far")("a", "b")
    assert str(failed.value) == problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [(f"{NAME}:none", "raised AttributeError"), ("no.such.module:f", "raised ModuleNotFoundError")],
)
def test_one_that_is_not_there_is_told(module: types.ModuleType, name: str, problem: str) -> None:
    with pytest.raises(PluginFailed) as failed:
        Plugin(name)("a", "b")
    assert str(failed.value) == problem


def test_one_that_hangs_is_asked_a_few_times_and_then_no_more(module: types.ModuleType) -> None:
    may_end = threading.Event()
    asked: list[str] = []

    def hang(one: str, _: str) -> float:
        asked.append(one)
        may_end.wait()
        return 0.0

    module.far = hang  # type: ignore[attr-defined]
    plugin = Plugin(f"{NAME}:far", call_seconds=0.02)
    for number in range(MOST_HANGS + 2):
        with pytest.raises(PluginFailed) as failed:
            plugin(str(number), "b")
    assert "not asked any more" in str(failed.value)
    assert asked == [str(number) for number in range(MOST_HANGS)]
    assert repr(plugin) == f"<Plugin {NAME}:far, hung {MOST_HANGS} times>"
    may_end.set()


def test_one_that_is_not_allowed_is_not_even_imported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugins = Plugins([f"{NAME}:far"])
    assert plugins.find("os:system") is None and plugins.find("os:system") is None
    assert plugins.find("") is None
    assert plugins.errors == {"os:system": 2}
    assert plugins.problems == {"os:system": "is not named in the setting release.compare_plugins"}
    [line] = caplog.messages
    assert line.startswith("The plug-in 'os:system' for comparing answers is not named")
