"""Which programs the supervisor starts, and with what."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass, field

from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.process import children
from gateway.process.children import Child
from gateway.process.handover import ControlBoot, WorkerBoot, settings_for_worker
from gateway.process.processors import usable_processors
from gateway.process.sockets import Sockets

MOST_WORKERS = 256  # as the setting allows


def worker_count(settings: Settings) -> int:
    """One worker per processor that this process may use, unless a number is set."""
    wanted = settings.process.workers
    return min(usable_processors(), MOST_WORKERS) if wanted == "auto" else wanted


def _program(module: str) -> tuple[str, ...]:
    # -P: a folder named gateway in the current directory must not be taken for ours.
    return (sys.executable, "-P", "-m", module)


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands of the children; the number of the lifeline is appended to them."""

    control: tuple[str, ...] = field(default_factory=lambda: _program("gateway.process.control"))
    worker: tuple[str, ...] = field(default_factory=lambda: _program("gateway.process.worker"))


class Launcher:
    """Starts children with the settings that are in force at that moment."""

    def __init__(self, settings: Settings, sockets: Sockets, programs: Programs) -> None:
        self.settings = settings
        self._sockets = sockets
        self._programs = programs
        self._units_key = Secret(secrets.token_hex(32))

    def control(self) -> Child:
        sockets = self._sockets
        boot = ControlBoot(
            settings=self.settings,
            runtime_dir=str(sockets.runtime_dir),
            channel_fd=sockets.channel.fileno(),
            admin_fd=sockets.admin.fileno(),
            data_url=sockets.data_url,
            admin_url=sockets.admin_url,
        )
        inherited = (boot.channel_fd, boot.admin_fd)
        return children.start("control", self._programs.control, boot, inherited, time.monotonic)

    def worker(self, index: int, must_hold_table: bool) -> Child:
        boot = WorkerBoot(
            settings=settings_for_worker(self.settings, self._units_key),
            index=index,
            channel_path=self._sockets.channel_path,
            data_fd=self._sockets.data[index].fileno(),
            owns_queue=not self._sockets.is_passed,
            must_hold_table=must_hold_table,
        )
        role = f"worker {index}"
        return children.start(role, self._programs.worker, boot, (boot.data_fd,), time.monotonic)
