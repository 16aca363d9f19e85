"""The build stages of the image, carried out here step by step, as far as that needs no container.

What the recipe copies is copied out of what .dockerignore lets through, and what it runs is run,
with /opt, /src and /rootfs below a folder of the test's own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.containing import ROOT, Stage, context, stages

IS_COMPILED = bool(os.environ.get("TEST_COMPILED"))
_MOVED = re.compile(r"(?<![\w/.-])/(opt|src|rootfs)\b")
_NO_INDEX = re.compile(
    r"name resolution|Network is unreachable|NewConnectionError|Connection refused|timed out"
)


class Installation:
    """The virtual environment that the image holds, built from the lock and our own wheel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src"
        self.environment = folder / "opt" / "graygate"
        self.python = self.environment / "bin" / "python"
        self.program = self.environment / "bin" / "graygate"
        self._build = folder / "opt" / "build" / "bin" / "pip"

    @property
    def wheel(self) -> Path:
        [found] = (self.source / "dist").glob("*.whl")
        return found

    @property
    def packages(self) -> Path:
        [found] = self.environment.glob("lib/python3*/site-packages")
        return found

    def build(self) -> None:
        self.source.mkdir(parents=True)
        tools = self.folder / "tools"
        tools.mkdir()
        # The interpreter itself, as in the image: not that of a virtual environment, and not a
        # link, which the new environment would link to.
        interpreter = Path(sys.executable).resolve()
        (tools / "python").write_text(f'#!/bin/sh\nexec {interpreter} "$@"\n')
        (tools / "python").chmod(0o755)
        for name in ("wheel", "build"):
            self._carry_out(stages()[name])

    def add_store(self) -> None:
        """Adds the embedded store, as somebody with one machine installs it."""
        words = ["--python", str(self.python), "install", "--require-hashes"]
        words += ["--only-binary", ":all:", "-r", str(ROOT / "deploy" / "lock" / "embedded.txt")]
        self._run([str(self._build), *words], {})

    def root_file_system(self) -> Path:
        """What the target without a shell holds."""
        self._carry_out(stages()["rootfs"])
        return self.folder / "rootfs"

    def _carry_out(self, stage: Stage) -> None:
        variables = stage.pairs("ENV") | {"GRAYGATE_COMPILE": str(int(IS_COMPILED))}
        for kind, text in stage.instructions:
            if kind == "COPY":
                self._copy(text.split())
            elif kind == "RUN":
                self._run(["bash", "-ec", _MOVED.sub(rf"{self.folder}/\1", text)], variables)

    def _copy(self, words: list[str]) -> None:
        *sources, _ = words
        if sources[0] == "--from=wheel":
            return  # made in the same folder
        for path in context():
            if sources == ["."] or path.as_posix() in sources:
                target = self.source / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, target)

    def _run(self, words: list[str], variables: dict[str, str]) -> None:
        path = f"{self.folder}/tools:{os.environ['PATH']}"
        done = subprocess.run(
            words,
            cwd=self.source,
            env={**os.environ, **variables, "PATH": path},
            capture_output=True,
            text=True,
            timeout=240,
        )
        if done.returncode and _NO_INDEX.search(done.stderr):
            pytest.skip("no package index can be reached")
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
