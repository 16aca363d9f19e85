"""The first process: opens the sockets, starts control and the workers, and keeps them there.

It does nothing else, so that nothing in it can fail: no requests, no store, no event loop. It
waits for signals and for the words of its children, and looks at everything after each of them.

    SIGTERM, SIGINT   control says "not ready"; after `process.unready_seconds` nothing new is
                      accepted; workers finish what they do; control ends; exit 0
    the same again    everything ends at once
    SIGHUP            settings are read again; control, then one worker after the other is replaced;
                      when it comes because the terminal was closed, it is as SIGTERM
    SIGUSR1           nothing: rotated log files are noticed, but recipes for rotation send it

The supervisor's own code is not renewed by SIGHUP, that of everything which touches a request is.
"""

from __future__ import annotations

import logging
import os
import resource
import selectors
import shutil
import signal
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from gateway.config.settings import Settings
from gateway.errors import GraygateError
from gateway.process.activation import take_passed
from gateway.process.children import Child
from gateway.process.handover import READY
from gateway.process.herald import Herald
from gateway.process.identity import identity_of
from gateway.process.launch import Launcher, Programs, worker_count
from gateway.process.notify import Notifier
from gateway.process.orphans import INIT, reap_orphans
from gateway.process.replacement import Replacement
from gateway.process.signals import SignalWatch
from gateway.process.slots import CONTROL_END_SECONDS, Slot
from gateway.process.sockets import Sockets, open_sockets

_log = logging.getLogger(__name__)

# A worker keeps its own time; the supervisor steps in only when that did not work.
_DRAIN_GRACE_SECONDS = 6.0
# When the supervisor itself is woken so much too late, everybody was frozen, and nobody hangs.
_FROZEN_SECONDS = 5.0
_STDERR = 2
_END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_RUNTIME_DIRECTORY = "RUNTIME_DIRECTORY"  # set by systemd


# Given the time, returns when it wants to be called again; None = after the next event.
Beside = Callable[[float], float | None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a gateway that is up can be reached."""

    data_url: str
    admin_url: str


class Phase(Enum):
    RUNNING = auto()
    LEAVING = auto()  # not ready, but new connections are accepted until everybody knows
    DRAINING = auto()  # workers finish their requests
    ENDING = auto()  # workers are gone, control ends
    ENDED = auto()


def supervise(
    settings: Settings,
    *,
    reread: Callable[[], Settings],
    on_ready: Callable[[Addresses], None],
    programs: Programs | None = None,
    beside: Beside = lambda now: None,
    environ: MutableMapping[str, str] = os.environ,
) -> int:
    """Runs a gateway until it is told to end, and returns the exit code.

    Must be called in the main thread. `on_ready` is called once, when the admin port and every
    worker answer; `reread` on each SIGHUP; `beside`, for children of the caller's own, after
    each death of a child and when it asked for it. What a service manager has left in `environ`
    (sockets, a place for notifications) is taken out of it. SettingsError when an address cannot be
    had, or a setting cannot be used.
    """
    notifier = Notifier.taken_from(environ, os.getpid())
    passed = take_passed(environ, os.getpid())
    identity_of(settings.routing)  # a key that no worker could use must not start any
    _forbid_core_dumps()
    workers = worker_count(settings)
    sockets = open_sockets(settings, workers, passed, environ.get(_RUNTIME_DIRECTORY, ""))
    try:
        launcher = Launcher(settings, sockets, programs or Programs())
        herald = Herald(notifier, workers)
        return Supervisor(sockets, launcher, reread, on_ready, beside, herald).run()
    finally:
        sockets.close()
        notifier.close()
        shutil.rmtree(sockets.runtime_dir, ignore_errors=True)


def _forbid_core_dumps() -> None:
    """For us and all our children: what is in our memory are other people's secrets."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


class Supervisor:
    """Holds one slot for control and one for each worker, and keeps them filled."""

    def __init__(
        self,
        sockets: Sockets,
        launcher: Launcher,
        reread: Callable[[], Settings],
        on_ready: Callable[[Addresses], None],
        beside: Beside,
        herald: Herald,
    ) -> None:
        self._sockets = sockets
        self._launcher = launcher
        self._reread = reread
        self._on_ready: Callable[[Addresses], None] | None = on_ready
        self._control = Slot("control", launcher.control)
        self._beside = beside
        self._herald = herald
        self._look_beside_at: float | None = None
        self._workers = [
            Slot(f"worker {index}", partial(launcher.worker, index, must_hold_table=False))
            for index in range(len(sockets.data))
        ]
        self._retired: list[Child] = []  # replaced workers that finish their requests
        self._replacement: Replacement | None = None
        self._is_asked_again = False  # SIGHUP while a replacement is under way
        self._phase = Phase.RUNNING
        self._drain_at = 0.0  # the end of LEAVING
        self._exit_code = 0
        self._is_init = os.getpid() == INIT
        self._had_terminal = os.isatty(_STDERR)

    def __repr__(self) -> str:
        filled = sum(slot.child is not None for slot in self._slots)
        return f"<Supervisor {self._phase.name.lower()}, {filled}/{len(self._slots)} children>"

    @property
    def is_ended(self) -> bool:
        return self._phase is Phase.ENDED

    @property
    def _slots(self) -> list[Slot]:
        return [self._control, *self._workers]

    def run(self) -> int:
        watched = (*_END_SIGNALS, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
        try:
            with SignalWatch(watched) as signals:
                self._look([], time.monotonic())
                while not self.is_ended:
                    until = self._next_moment()
                    self._wait(signals, until)
                    now = time.monotonic()
                    if until is not None and now > until + _FROZEN_SECONDS:
                        for child in self._children():
                            child.heard_at = now
                    self._look(signals.take(), now)
        finally:
            for child in self._children():
                child.kill()
                child.wait()
                child.close()
        return self._exit_code

    def _look(self, signals: list[signal.Signals], now: float) -> None:
        for child in self._children():
            child.hear(now)
        for number in signals:
            self._heed(number, now)
        self._reap(now)
        if self._is_running:
            for slot in self._slots:
                slot.fill(now)
                slot.watch(now, self._hang_seconds)
            self._look_beside_at = self._beside(now)
        if self._phase is Phase.RUNNING:
            self._replace(now)
            self._report_ready()
        for child in self._children():
            child.kill_if_overdue(now)
        self._advance_end(now)
        self._herald.tell(self._slots)
        self._herald.pulse(self._slots, now)
        if self._is_init:
            reap_orphans({child.pid for child in self._children()})

    def _heed(self, number: signal.Signals, now: float) -> None:
        if number in _END_SIGNALS:
            if self._phase is Phase.RUNNING:
                self._begin_leave(now)
            else:
                _log.warning("Told to end a second time: ending at once.")
                self._phase = Phase.ENDED
                self._exit_code = 128 + number
        elif number is signal.SIGHUP and self._phase is Phase.RUNNING:
            if self._had_terminal and not os.isatty(_STDERR):
                _log.info("The terminal was closed.")
                self._begin_leave(now)
            else:
                self._begin_replacement()

    def _next_moment(self) -> float | None:
        """When there will be something to do even if nothing happens."""
        moments = [child.kill_at for child in self._children()]
        moments.append(self._herald.look_at)
        if self._is_running:
            moments.append(self._look_beside_at)
            for slot in self._slots:
                moments += [slot.start_at, slot.watch_at(self._hang_seconds)]
        if self._phase is Phase.LEAVING:
            moments.append(self._drain_at)
        if self._replacement is not None:
            moments.append(self._replacement.deadline)
        return min((moment for moment in moments if moment is not None), default=None)

    def _wait(self, signals: SignalWatch, until: float | None) -> None:
        timeout = None if until is None else max(0.0, until - time.monotonic())
        with selectors.DefaultSelector() as selector:
            selector.register(signals, selectors.EVENT_READ)
            for child in self._children():
                if child.is_listening:
                    selector.register(child, selectors.EVENT_READ)
            selector.select(timeout)

    def _children(self) -> Iterator[Child]:
        yield from [slot.child for slot in self._slots if slot.child is not None]
        yield from list(self._retired)
        if self._replacement is not None and self._replacement.successor is not None:
            yield self._replacement.successor

    def _reap(self, now: float) -> None:
        for slot in self._slots:
            slot.reap(now)
        for child in [child for child in self._retired if child.exit_code is not None]:
            child.close()
            self._retired.remove(child)

    def _report_ready(self) -> None:
        if self._on_ready is not None and all(slot.has_said(READY) for slot in self._slots):
            on_ready, self._on_ready = self._on_ready, None
            self._herald.ready(self._sockets.data_url)
            on_ready(Addresses(self._sockets.data_url, self._sockets.admin_url))

    # Replacing everything, on SIGHUP.

    def _begin_replacement(self) -> None:
        if self._replacement is not None:
            self._is_asked_again = True
            return
        try:
            settings = self._reread()
            identity_of(settings.routing)
        except GraygateError as error:
            _log.error("The settings were not taken over, the ones in force stay: %s", error)
            self._herald.replaced(is_good=False)
            return
        for text in fixed_changes(self._launcher.settings, settings):
            _log.warning("%s", text)
        _log.info("Replacing control and %d workers.", len(self._workers))
        self._herald.replacing()
        self._replacement = Replacement(self._launcher, settings, self._control, self._workers)

    def _replace(self, now: float) -> None:
        replacement = self._replacement
        if replacement is None:
            return
        for old in replacement.advance(now):
            old.retire(now + self._drain_seconds)
            self._retired.append(old)
        if replacement.is_finished:
            self._replacement = None
            self._herald.replaced(replacement.is_good)
            if replacement.successor is not None:  # it was given up, and has been killed
                self._retired.append(replacement.successor)
            if self._is_asked_again:
                self._is_asked_again = False
                self._begin_replacement()

    # Ending.

    @property
    def _drain_seconds(self) -> float:
        return self._launcher.settings.process.drain_seconds + _DRAIN_GRACE_SECONDS

    @property
    def _hang_seconds(self) -> float:
        return self._launcher.settings.process.hang_seconds

    @property
    def _is_running(self) -> bool:
        """Whether children that die are replaced."""
        return self._phase in (Phase.RUNNING, Phase.LEAVING)

    def _begin_leave(self, now: float) -> None:
        process = self._launcher.settings.process
        _log.info("Ending: running requests get %g s.", process.drain_seconds)
        self._phase = Phase.LEAVING
        self._drain_at = now + process.unready_seconds
        seconds = process.unready_seconds + self._drain_seconds + CONTROL_END_SECONDS
        self._herald.leaving(seconds)
        if self._replacement is not None:
            if self._replacement.successor is not None:
                self._retired.append(self._replacement.successor)
            self._replacement = None

    def _begin_drain(self, now: float) -> None:
        self._phase = Phase.DRAINING
        # Ours first: a worker empties its queue and lets go of the port, and then nobody has it.
        self._sockets.close_data()
        for child in [*self._retired, *(slot.child for slot in self._workers)]:
            if child is not None:
                child.terminate(now + self._drain_seconds)

    def _advance_end(self, now: float) -> None:
        if self._phase is Phase.LEAVING and now >= self._drain_at:
            self._begin_drain(now)
        if self._phase is Phase.DRAINING:
            if self._retired or any(slot.child is not None for slot in self._workers):
                return
            self._phase = Phase.ENDING
            if self._control.child is not None:
                self._control.child.terminate(now + CONTROL_END_SECONDS)
        if self._phase is Phase.ENDING and self._control.child is None:
            self._phase = Phase.ENDED


def fixed_changes(held: Settings, wanted: Settings) -> list[str]:
    """What differs but is decided once, when the supervisor starts; one sentence each."""
    pairs = {
        "listen.host": (held.listen.host, wanted.listen.host),
        "listen.port": (held.listen.port, wanted.listen.port),
        "process.workers": (held.process.workers, wanted.process.workers),
        "admin.host": (held.admin.host, wanted.admin.host),
        "admin.port": (held.admin.port, wanted.admin.port),
    }
    return [
        f"{name} stays {old!r} until the gateway is started anew; {new!r} was not taken over."
        for name, (old, new) in pairs.items()
        if old != new
    ]
