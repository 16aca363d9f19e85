"""The recipe of the image, taken apart: stages, instructions, and the files it may see."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
RECIPE = FOLDER / "Dockerfile"
IGNORED = FOLDER / "Dockerfile.dockerignore"


@dataclass
class Stage:
    """One FROM and what follows; each instruction with its words as they are written."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, kind: str) -> list[str]:
        return [text for name, text in self.instructions if name == kind]

    def last(self, kind: str) -> str:
        return self.all(kind)[-1]

    def words(self, kind: str) -> list[str]:
        """The last instruction of a kind that is written as a JSON list."""
        found = json.loads(self.last(kind)[self.last(kind).index("[") :])
        assert isinstance(found, list)
        return found

    def pairs(self, kind: str) -> dict[str, str]:
        """All KEY=VALUE of a kind (ENV, LABEL, ARG)."""
        words = [word for text in self.all(kind) for word in shlex.split(text)]
        return dict(word.partition("=")[::2] for word in words)


def stages() -> dict[str, Stage]:
    """By name, in the order of the recipe."""
    found: dict[str, Stage] = {}
    text = re.sub(r"^#.*\n", "", RECIPE.read_text(), flags=re.M).replace("\\\n", " ")
    current: Stage | None = None
    for line in filter(str.strip, text.splitlines()):
        kind, _, rest = line.partition(" ")
        if kind == "FROM":
            base, _, name = rest.partition(" AS ")
            current = found[name] = Stage(base, name)
        elif current is not None:
            current.instructions.append((kind, rest.strip()))
    return found


def context() -> list[Path]:
    """The files that the build sees, below the root of the repository."""
    lines = [line for line in IGNORED.read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    kept = [line[1:] for line in lines if line.startswith("!")]
    left_out = [line.removeprefix("**/") for line in lines[1:] if not line.startswith("!")]
    found = []
    for name in kept:
        path = ROOT / name
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        assert files, f"{name} is let through and not there"
        for file in files:
            parts = file.relative_to(ROOT).parts
            if not any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in left_out):
                found.append(file.relative_to(ROOT))
    return found
