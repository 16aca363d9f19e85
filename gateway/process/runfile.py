"""Where a running gateway can be reached, in a file that other commands read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

# In the folder that the gateway was started in, where people type the other commands too.
RUN_FILE = Path(".graygate/run.json")


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that is up."""

    pid: int  # of the supervisor
    data_url: str
    admin_url: str
    store_url: str = ""  # without a password
    admin_cert: str = ""  # file of the admin port's certificate


def write_run_file(path: Path, running: Running) -> None:
    """Puts the file there whole, readable by this user only."""
    import tempfile  # only a gateway writes; commands, which read, need not pay for it

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(running) + b"\n")
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def read_run_file(path: Path) -> Running | None:
    """The gateway that wrote the file, when it is still up."""
    try:
        running = msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    return running if _is_alive(running.pid) else None


def remove_run_file(path: Path, pid: int) -> None:
    """Takes the file away unless another gateway has written its own by now."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        if msgspec.json.decode(path.read_bytes(), type=Running).pid == pid:
            path.unlink()


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there and belongs to somebody else
        return True
    return True
