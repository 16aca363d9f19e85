"""Who may write in the folder of an embedded store: file locks that no crash can leave behind.

Two locks, because two processes matter. `owner.lock` is held by the process that runs the store and
is not inherited: while it is held, somebody alive answers for this folder. `data.lock` is handed
down to the server itself: while it is held, the data may be written, even if the owner is dead.
The kernel frees both when their holders end, whereas a pid in a file may be anybody's tomorrow.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import msgspec

from gateway.errors import StoreError, UsageError

POLL_SECONDS = 0.02


class Holder(msgspec.Struct, frozen=True):
    """The note that a running store leaves in its folder, for people and for the next start."""

    pid: int  # of the server
    owner: int  # of the process that started it
    port: int


class StoreFolder:
    """The folder of one embedded store, to be held by one process at a time."""

    def __init__(self, directory: Path) -> None:
        self.path = directory.resolve()
        self._owner_lock: int | None = None
        self._data_lock: int | None = None

    def __repr__(self) -> str:
        return f"<StoreFolder {self.path}: {'held' if self._owner_lock is not None else 'free'}>"

    @property
    def data_lock(self) -> int:
        """The descriptor that the server must inherit."""
        if self._data_lock is None:
            raise RuntimeError(f"{self!r} has no data lock yet: call take() and take_data()")
        return self._data_lock

    def take(self) -> None:
        """Makes this process the owner; UsageError when another living one is."""
        if self._owner_lock is not None:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._owner_lock = _lock(self.path / "owner.lock")
        except OSError as error:
            raise StoreError(
                f"cannot keep the embedded store in {self.path}: {error.strerror}; make the folder "
                "writable, run elsewhere, or name a store with --redis"
            ) from error
        if self._owner_lock is None:
            raise UsageError(self._taken())

    def take_data(self, wait_seconds: float) -> bool:
        """Waits until no server writes here any more; False when one still does."""
        deadline = time.monotonic() + wait_seconds
        while self._data_lock is None:
            self._data_lock = _lock(self.path / "data.lock")
            if self._data_lock is None:
                if time.monotonic() > deadline:
                    return False
                time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        for descriptor in (self._data_lock, self._owner_lock):
            if descriptor is not None:
                os.close(descriptor)
        self._data_lock = self._owner_lock = None

    def write_holder(self, holder: Holder) -> None:
        new = self.path / "store.json.new"
        new.write_bytes(msgspec.json.encode(holder))
        new.replace(self.path / "store.json")

    def read_holder(self) -> Holder | None:
        try:
            return msgspec.json.decode((self.path / "store.json").read_bytes(), type=Holder)
        except (OSError, msgspec.MsgspecError):
            return None

    def _taken(self) -> str:
        holder = self.read_holder()
        who = f" (process {holder.owner}, store on port {holder.port})" if holder else ""
        return (
            f"another graygate{who} already runs the store in {self.path}: stop that one first, "
            "or run this one in another folder"
        )


def _lock(path: Path) -> int | None:
    """The descriptor that holds the lock, None when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
