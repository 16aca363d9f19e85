"""Compiles the modules that carry requests into the wheel, where GRAYGATE_COMPILE=1 asks for it.

Without the variable the wheel is pure Python. An editable installation is always pure: Python takes
an extension module before the source beside it, so there an edited file would not count. For the
same reason nothing is ever compiled into the tree: all happens in a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "GRAYGATE_COMPILE"
GROUP = "gateway.compiled"  # of the library that holds the code of all of them


class CompileHook(BuildHookInterface):
    """Called by hatchling before a wheel is put together, and after."""

    _folder = ""

    def dependencies(self) -> list[str]:
        """What a build in isolation needs more; mypy reads the types of what we depend on."""
        if not _is_wanted():
            return []
        return [*self._settings["requires"], *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not _is_wanted():
            return
        _look_for_a_compiler()
        self._folder = tempfile.mkdtemp(prefix="graygate-compile-")
        for built in _compiled(self._settings["modules"], Path(self.root), Path(self._folder)):
            place = built.relative_to(Path(self._folder) / "lib").as_posix()
            build_data["force_include"][str(built)] = place
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._folder:
            shutil.rmtree(self._folder)

    @property
    def _settings(self) -> dict[str, list[str]]:
        settings: dict[str, list[str]] = self.metadata.config["tool"]["graygate"]["compile"]
        return settings


def _is_wanted() -> bool:
    return os.environ.get(VARIABLE) == "1"


def _look_for_a_compiler() -> None:
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    program = command.split()[0]
    if shutil.which(program) is None:
        raise SystemExit(
            f"{VARIABLE}=1 needs a C compiler, and {program} is not here: install one (on Debian: "
            "apt-get install gcc libc6-dev python3-dev), or build pure Python without it."
        )
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not headers.exists():
        raise SystemExit(
            f"{VARIABLE}=1 needs the C headers of Python, and {headers} is not here: install them "
            "(on Debian: apt-get install python3-dev), or build pure Python without it."
        )


def _compiled(modules: list[str], root: Path, folder: Path) -> list[Path]:
    """The extension modules, in FOLDER/lib as they lie in a wheel."""
    # Only here: a pure build has neither.
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    paths = [name.replace(".", "/") + ".py" for name in modules]
    before = Path.cwd()
    os.chdir(root)  # where mypy finds its settings and the package
    try:
        extensions = mypycify(
            [f"--cache-dir={folder / 'mypy'}", *paths],
            opt_level="3",
            debug_level="0",
            group_name=GROUP,
            target_dir=str(folder / "c"),
        )
        distribution = Distribution({"name": "graygate", "ext_modules": extensions})
        command = build_ext(distribution)
        command.build_lib = str(folder / "lib")
        command.build_temp = str(folder / "objects")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    return sorted((folder / "lib").rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
