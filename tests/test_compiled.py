"""What is compiled, and when; `make compiled` runs all other tests against it."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gateway.compiled import build

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = PROJECT["tool"]["graygate"]["compile"]
PLACE = "hatchling.builders.hooks.plugin.interface"


class Interface:
    """As much of hatchling's as the hook uses."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        core = SimpleNamespace(dependencies=PROJECT["project"]["dependencies"])
        self.metadata = SimpleNamespace(config=PROJECT, core=core)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    interface = ModuleType(PLACE)
    interface.BuildHookInterface = Interface  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, PLACE, interface)
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put_together(hook: ModuleType, version: str = "standard") -> dict[str, Any]:
    """What the hook adds to a wheel."""
    data: dict[str, Any] = {"force_include": {}}
    made = hook.CompileHook(ROOT)
    made.initialize(version, data)
    made.finalize(version, data, "")
    return data


@pytest.mark.parametrize("name", SETTINGS["modules"])
def test_what_is_listed_is_there_and_runs_as_it_was_built(name: str) -> None:
    assert (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
    file = import_module(name).__file__
    assert file is not None
    assert file.endswith(".so" if build() == "compiled" else ".py")


def test_the_list_is_in_order_and_names_nothing_twice() -> None:
    assert SETTINGS["modules"] == sorted(set(SETTINGS["modules"]))


def test_make_compiled_tests_what_is_compiled() -> None:
    if not os.environ.get("TEST_COMPILED"):
        pytest.skip("make compiled")
    assert build() == "compiled"
    assert ROOT not in Path(str(import_module("gateway").__file__)).parents[:2]


def test_the_mypy_that_compiles_is_the_one_that_checks() -> None:
    [mypy] = [need for need in SETTINGS["requires"] if need.startswith("mypy")]
    lock = (ROOT / "deploy" / "lock" / "test.txt").read_text()
    pinned = re.search(r"^mypy==(\S+)", lock, re.M)
    assert pinned is not None and mypy == f"mypy[mypyc]=={pinned[1]}"


def test_wheels_ask_the_hook() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["hooks"]["custom"]["path"] == "hatch_build.py"


@pytest.mark.parametrize("value", [None, "", "0", "yes"])
def test_a_wheel_is_pure_unless_it_is_asked_for(
    hook: ModuleType, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAYGATE_COMPILE", raising=False)
    if value is not None:
        monkeypatch.setenv("GRAYGATE_COMPILE", value)
    assert put_together(hook) == {"force_include": {}}
    assert hook.CompileHook(ROOT).dependencies() == []


def test_an_editable_installation_is_always_pure(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAYGATE_COMPILE", "1")
    assert put_together(hook, "editable") == {"force_include": {}}


def test_what_is_compiled_goes_into_the_wheel_from_a_folder_that_is_gone_afterwards(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAYGATE_COMPILE", "1")
    monkeypatch.setattr(hook, "_look_for_a_compiler", lambda: None)
    folders = []

    def compiled(modules: list[str], root: Path, folder: Path) -> list[Path]:
        assert (modules, root) == (SETTINGS["modules"], ROOT)
        folders.append(folder)
        return [folder / "lib" / "gateway" / "http1" / "lines.so"]

    monkeypatch.setattr(hook, "_compiled", compiled)
    data = put_together(hook)
    assert list(data["force_include"].values()) == ["gateway/http1/lines.so"]
    assert (data["pure_python"], data["infer_tag"]) == (False, True)
    assert not folders[0].exists()


def test_a_build_in_isolation_gets_mypy_and_what_it_reads_types_of(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAYGATE_COMPILE", "1")
    needs = hook.CompileHook(ROOT).dependencies()
    assert {*SETTINGS["requires"], *PROJECT["project"]["dependencies"]} == set(needs)


def test_without_a_c_compiler_one_sentence_says_so(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAYGATE_COMPILE", "1")
    monkeypatch.setenv("CC", "no-such-compiler -pthread")
    with pytest.raises(SystemExit, match="needs a C compiler, and no-such-compiler is not here"):
        put_together(hook)
