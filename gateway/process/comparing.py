"""Compares pairs of answers, in a thread of control's own: nothing waits for it.

What workers send more than it has time for is dropped and counted. What it finds goes into the
strata, for the judge, and into the book, for people.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from gateway.metrics.strata import EventCounts
from gateway.process.plugins import PluginFailed, Plugins
from gateway.process.second import second_of_next_send
from gateway.process.strata import StrataSums
from gateway.proxy.pair import Half, Pair
from gateway.release.compare.answer import Answer
from gateway.release.compare.spec import read_spec
from gateway.release.shadow.book import Key, ShadowBook
from gateway.release.shadow.excerpt import Redact
from gateway.release.shadow.judged import Judged, Kind, Outcome, Setup, judge_pair
from gateway.routing.spec import RouteSpec

_log = logging.getLogger(__name__)

MOST_WAITING = 500  # pairs
# Times as long as a comparison took. Some take milliseconds, and while one runs the loop does not:
# without a rest a shadow would slow down whatever else control has to do.
_REST = 2.0
_FAMILIES = {Kind.CANDIDATE: "shadow", Kind.SELF: "shadow_self"}

_read_spec = lru_cache(maxsize=256)(read_spec)


class Comparer:
    """Takes pairs on the loop, compares them in a thread, and notes on the loop what it found."""

    def __init__(
        self,
        sums: StrataSums,
        spec_of: Callable[[str], RouteSpec | None],
        plugins: Plugins,
        redact: Redact | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Without `redact` no examples are kept."""
        self.book = ShadowBook()
        self._sums = sums
        self._spec_of = spec_of
        self._plugins = plugins
        self._redact = redact
        self._wall = wall
        # None wakes the thread, so that it sees its end.
        self._waiting: queue.Queue[tuple[Setup, Kind, Pair, bool] | None] = queue.Queue(
            MOST_WAITING
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<Comparer: {self._waiting.qsize()} pairs wait>"

    async def run(self) -> None:
        """Compares until it is cancelled."""
        self._loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._work, name="comparer", daemon=True)
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._loop = None  # what is still found is of no use to anybody
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(None)

    def put(self, pairs: Iterable[Pair]) -> None:
        """What a worker has sent; pairs of versions that the route compares no more are let go."""
        now = self._wall()
        for pair in pairs:
            spec = self._spec_of(pair.route)
            if spec is None or not spec.compare or pair.primary.version != spec.stable:
                continue
            kind = Kind.SELF if pair.copy.version == spec.stable else Kind.CANDIDATE
            if kind is Kind.CANDIDATE and pair.copy.version != spec.mirror:
                continue
            setup = Setup(spec.name, spec.mirror, spec.stable, spec.compare)
            shows = self.book.of(setup, now).wants_example(now) and self._redact is not None
            try:
                self._waiting.put_nowait((setup, kind, pair, shows))
            except queue.Full:
                self.book.lost += 1

    # In the thread

    def _work(self) -> None:
        while (loop := self._loop) is not None:
            waiting = self._waiting.get()
            if waiting is None:
                continue
            setup, kind, pair, shows = waiting
            began = time.thread_time()
            try:
                judged = self._judge(setup, kind, pair, shows)
            except Exception:
                _log.exception("Two answers could not be compared: %s", pair.request_id)
                continue
            try:
                loop.call_soon_threadsafe(self._note, judged)
            except RuntimeError:  # it is closed
                return
            time.sleep((time.thread_time() - began) * _REST)

    def _judge(self, setup: Setup, kind: Kind, pair: Pair, shows: bool) -> Judged:
        spec = _read_spec(setup.compare)
        answers = (answer_of(pair.primary), answer_of(pair.copy))
        redact = self._redact if shows else None
        distance = self._plugins.find(spec.plugin)
        try:
            return judge_pair(setup, kind, pair.request_id, answers, spec, distance, redact)
        except PluginFailed as error:
            self._plugins.note(spec.plugin, str(error))
            # Whether they differ nobody knows: without the plug-in it would be another question.
            reason = f"the plug-in {error}"
            return Judged(setup, kind, Outcome.UNREADABLE, pair.request_id, reason)

    # On the loop

    def _note(self, judged: Judged) -> None:
        now = self._wall()
        self.book.note(judged, now)
        if judged.outcome is Outcome.UNREADABLE:
            return
        second = second_of_next_send(now)
        name = judged.setup.route, judged.version, _FAMILIES[judged.kind]
        is_bad = int(judged.outcome is Outcome.DIFFERENT)
        self._sums.put_events(second, [EventCounts(second, *name, n=1, bad=is_bad)])

    # What the API asks for

    def told(self, spec: RouteSpec) -> dict[str, Any]:
        """Counts, rates and drift of the route as it compares now."""
        now = self._wall()
        setup = Setup(spec.name, spec.mirror, spec.stable, spec.compare)
        told = self.book.of(setup, now).told(now)
        failing = {
            name: {"errors": self._plugins.errors[name], "newest": problem}
            for name, problem in self._plugins.problems.items()
            if f'"{name}"' in spec.compare
        }
        return {"compares": bool(spec.mirror and spec.compare), **told, "plugins": failing}

    def examples(self, route: str) -> list[dict[str, Any]]:
        found = self.book.find(route)
        return [] if found is None else found.examples

    def holds(self, route: str) -> dict[str, tuple[str, ...]]:
        """By candidate: reasons for a release of this route to raise no weight now."""
        found = self.book.find(route)
        return {} if found is None else {found.setup.candidate: found.holds(self._wall())}

    @property
    def totals(self) -> Mapping[Key, int]:
        return self.book.totals

    @property
    def lost(self) -> int:
        """Pairs that there was no time for."""
        return self.book.lost


def answer_of(half: Half) -> Answer:
    return Answer(
        status=half.status,
        failure=half.failure,
        content_type=half.content_type,
        content_encoding=half.content_encoding,
        size_bytes=half.size_bytes,
        digest=half.digest,
        body=half.beginning,
        is_truncated=half.is_truncated,
    )
