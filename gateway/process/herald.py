"""Tells those who want to know how the gateway is: the service manager, and control.

Control gets the supervisor's state whenever it changed or control is a new one, for readiness and
metrics. The manager gets the changes that it asks for by its protocol, and a sign of life as long
as control and every worker do their work: whoever does not is replaced, and when that does not
help for so long that the manager runs out of patience, it starts everything anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.metrics.standing import Standing
from gateway.process.children import Child
from gateway.process.handover import standing_word
from gateway.process.notify import Notifier
from gateway.process.slots import Slot

_SILENCE_SECONDS = 5.0  # from which on a child is not taken for alive
_LOOK_AGAIN_SECONDS = 1.0  # when no sign of life could be given


class Herald:
    """Says what has changed since it was said last."""

    def __init__(self, notifier: Notifier, workers: int) -> None:
        self.look_at: float | None = None if notifier.watchdog_seconds is None else 0.0
        self._notifier = notifier
        self._status = ""
        self._told: tuple[Child, Standing] | None = None
        self._workers = workers
        self._started_at = time.time()
        self._is_draining = False
        self._reloads = 0
        self._failed_reloads = 0
        self._reloaded_at = self._started_at
        self._is_reload_good = True

    def __repr__(self) -> str:
        return f"<Herald: {self._status or 'starting'}>"

    def ready(self, data_url: str) -> None:
        self._status = f"Serving on {data_url} with {self._workers} workers."
        self._notifier.ready(self._status)

    def replacing(self) -> None:
        self._notifier.reloading("Replacing control and all workers.")

    def replaced(self, is_good: bool) -> None:
        """A SIGHUP was carried out, or was in vain: what serves now is ready either way."""
        self._is_reload_good = is_good
        if is_good:
            self._reloads += 1
            self._reloaded_at = time.time()
        else:
            self._failed_reloads += 1
        vain = "" if is_good else " The last settings were not taken over; see the log."
        self._notifier.ready(self._status + vain)

    def leaving(self, seconds: float) -> None:
        """The gateway ends, which takes so long at the most."""
        self._is_draining = True
        self._notifier.stopping("Ending; running requests are finished first.", seconds)

    def tell(self, slots: Sequence[Slot]) -> None:
        """Tells control, whose slot is the first, how things stand, if it does not know."""
        control = slots[0].child
        if control is None:
            return
        standing = Standing(
            started_at=self._started_at,
            workers=self._workers,
            is_draining=self._is_draining,
            restarts={slot.role: slot.restarts for slot in slots},
            looping=tuple(slot.role for slot in slots if slot.is_looping),
            reloads=self._reloads,
            failed_reloads=self._failed_reloads,
            reloaded_at=self._reloaded_at,
            is_reload_good=self._is_reload_good,
        )
        if self._told != (control, standing):
            self._told = (control, standing)
            control.say(standing_word(standing))

    def pulse(self, slots: Sequence[Slot], now: float) -> None:
        """Gives the manager a sign of life when it is time to and all is well."""
        interval = self._notifier.watchdog_seconds
        if interval is None or self.look_at is None or now < self.look_at:
            return
        if self._is_draining or all(slot.is_sound(now, _SILENCE_SECONDS) for slot in slots):
            self._notifier.alive()
            self.look_at = now + interval / 2
        else:
            self.look_at = now + min(_LOOK_AGAIN_SECONDS, interval / 4)
