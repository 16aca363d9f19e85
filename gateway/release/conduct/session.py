"""One release in the hands of the leader: what it holds in memory, and its tick.

The rules of the tick
- Whatever was decided is in the store before anything else happens: status, judge, read position,
  weights, history and the notices to send are one write, which names the term of the lease and the
  step of the release. A tick that dies before it has done nothing, one that dies after it has done
  everything.
- After any failure what is in memory is thrown away: whether the last write arrived may be unknown,
  and the store knows.
- What the judge was told and where reading went on are stored together, so no stratum counts twice.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from gateway.errors import RefusedError
from gateway.release.conduct.commands import abort_of_deleted, read_commands, refused
from gateway.release.conduct.edits import (
    Seen,
    applied,
    edit_of,
    lowers,
    percent_of,
    said,
    without_writes,
    written,
)
from gateway.release.conduct.outbox import Outbox, encode, news_of, read_outbox, without
from gateway.release.conduct.testimony import encode as encode_testimony
from gateway.release.conduct.testimony import read_testimony
from gateway.release.conduct.wish import why_no_wish, wish_of
from gateway.release.judge.evidence import Evidence, MetricVerdict
from gateway.release.machine.action import MarkEvidence, SetWeight, Step
from gateway.release.machine.advance import advance
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Command, Status
from gateway.release.machine.status import decode as decode_status
from gateway.release.machine.status import encode as encode_status
from gateway.release.machine.turn import Observed
from gateway.state.release import (
    MOST_COMMAND_BYTES,
    Look,
    ReleaseRecord,
    ReleaseStore,
    ReleaseUpdate,
)
from gateway.state.strata import Batch
from gateway.state.write import Author, Change, Edit, Writer

log = logging.getLogger("graygate.release")

LEARN_SECONDS = 900.0  # of stable, before the release was started
SAVE_SECONDS = 2.0  # between two writes in which nothing was decided
DELETED_SECONDS = 10.0  # without its route, until a release ends
PAGE = 200  # batches that are read and judged before others run again
PAGES = 50  # in one tick, after which the rest waits for the next


class Judging(Protocol):
    """The judge of one release, as far as the conductor needs it."""

    @property
    def is_judging(self) -> bool:
        """False as long as it only learns what stable is like."""

    def learn(self, batches: Sequence[Batch]) -> None:
        """Take in what stable did before the first stage."""

    def why_wait(self, waited_seconds: float) -> str:
        """Why the first stage must wait, as half a sentence; "" when it need not."""

    def begin(self, now: float, weight: float) -> tuple[str, ...]:
        """Judge from here on by what was learnt; returns what people should know about that."""

    def split(self, now: float, weight: float) -> None:
        """The candidate has so many percent from now on."""

    def take(self, batches: Sequence[Batch]) -> None:
        """Take in what both versions did."""

    def evidence(
        self,
        now: float,
        weight: float,
        metrics: Sequence[MetricVerdict],
        gateways: Iterable[str] | None,
        *,
        is_baking: bool,
    ) -> Evidence | None: ...

    def mark(self) -> None: ...

    def state(self) -> bytes: ...


class StrataSource(Protocol):
    """Where the numbers of all gateways come from."""

    async def read(self, route: str, after_id: str, limit: int) -> list[Batch]: ...


class World(Protocol):
    """What the tick is told besides what the store says."""

    def metrics(self, status: Status) -> tuple[MetricVerdict, ...]: ...

    def gateways(self) -> frozenset[str] | None:
        """The ids of the gateways that live, None when that is not known."""

    def offsets(self, status: Status, now: float) -> Mapping[str, float]: ...

    def in_force(self, route: str) -> Edit | None:
        """An edit that brings the route back to its last good form, when there is one."""

    def why_not_ready(self, status: Status) -> str: ...

    def others(self, status: Status) -> float:
        """The percent of versions that are neither stable nor the candidate."""


class Lost(Exception):
    """What is in memory is not what the store holds any more."""


class Session:
    """A running release; `tick` may be called as often as one likes."""

    def __init__(
        self,
        record: ReleaseRecord,
        judging: Judging,
        *,
        releases: ReleaseStore,
        writer: Writer,
        strata: StrataSource,
        world: World,
        term: str,
        own_id: str,
    ) -> None:
        self.status = decode_status(record.status)
        self.step = record.step
        self.outbox: Outbox = read_outbox(record.outbox)
        self.testimony = read_testimony(record.evidence)
        self._judging = judging
        self._read = record.read
        self._is_running = record.is_running
        self._releases = releases
        self._writer = writer
        self._strata = strata
        self._world = world
        self._term = term
        self._own_id = own_id
        self._saved_at: float | None = None
        self._missed_at: float | None = None  # when its route was first found to be gone
        self._sent: set[str] = set()

    def __repr__(self) -> str:
        status = self.status
        return (
            f"<Session of {status.release_id} on {status.route}: {status.phase}, step {self.step}>"
        )

    def sent(self, notice_id: str) -> None:
        """No channel waits for this notice any more."""
        self._sent.add(notice_id)

    @property
    def unsent(self) -> Outbox:
        return without(self.outbox, self._sent)

    async def tick(self, now: float) -> bool:
        """Look, judge, decide, write; False when nothing is left to be done for this release."""
        look = await self._releases.look(self.status.route, self.status.candidate)
        if look.step != self.step or look.release != self.status.release_id:
            raise Lost(f"the release of {self.status.route} was written by somebody else")
        evidence = None
        if not self.status.is_over:
            await self._judge(now)
            evidence = self._evidence(now)
        commands, wrong = read_commands(look.commands, now, self.step)
        self._warn(look, wrong)
        is_deleted = self._is_deleted(look, now)
        if is_deleted:
            commands.append(abort_of_deleted(self.status, now))
        step = advance(self.status, evidence, commands, now, self._observed(look, evidence, now))
        if is_deleted:
            step = without_writes(step)
        if self._must_write(step, look, now):
            try:
                await self._write(step, look, commands, now)
            except RefusedError as error:
                await self._refuse(look, commands, now, str(error))
                raise
        else:
            self.status = step.status
        return self._is_running or bool(look.commands_seen)

    def _is_deleted(self, look: Look, now: float) -> bool:
        """Whether the route was deleted for good: nobody could end the release any more.

        A route that the store lost is in force still, and somebody may be about to write it anew.
        """
        if look.stable or self.status.is_over or self._world.in_force(self.status.route):
            self._missed_at = None
            return False
        if self._missed_at is None:
            self._missed_at = now
        return now - self._missed_at >= DELETED_SECONDS

    def _warn(self, look: Look, wrong: Sequence[str]) -> None:
        """One line of all that nobody will obey; somebody may have pushed thousands."""
        told = list(wrong[:1])
        if len(wrong) > 1:
            told.append(f"so it is with {len(wrong) - 1} more")
        if look.too_long:
            told.append(
                f"a command of {look.too_long} bytes is passed over, {MOST_COMMAND_BYTES} are read"
            )
        if look.passed_over:
            told.append(f"{look.passed_over} commands are dropped, for too many came at once")
        if told:
            log.warning("Release of %s: %s", self.status.route, "; ".join(told))

    # What is known

    async def _judge(self, now: float) -> None:
        """Bring the judge up to date; before the first stage it learns what stable is like."""
        is_preparing = self.status.stage < 0
        if not is_preparing:
            self._split(now, self.status.weight_wanted)
        if not self._read:
            self._read = f"{max(int((now - LEARN_SECONDS) * 1000), 0)}-0"
        for _ in range(PAGES):
            batches = await self._strata.read(self.status.route, self._read, PAGE)
            if not batches:
                return
            if is_preparing:
                self._judging.learn(batches)
            else:
                self._judging.take(batches)
            self._read = batches[-1].id
            if len(batches) < PAGE:
                return

    def _evidence(self, now: float) -> Evidence | None:
        status, world = self.status, self._world
        metrics, gateways = world.metrics(status), world.gateways()
        evidence = self._judging.evidence(
            now, status.weight_wanted, metrics, gateways, is_baking=status.baking
        )
        if evidence is not None:
            why = why_no_wish(status.plan, evidence)
            missing = (*evidence.missing, why) if why else evidence.missing
            told = msgspec.structs.replace(evidence, missing=missing)
            self.testimony = self.testimony.with_evidence(status.stage, told)
        return evidence

    def _observed(self, look: Look, evidence: Evidence | None, now: float) -> Observed:
        status, wait = self.status, ""
        if status.stage < 0:
            wait = self._judging.why_wait(now - status.started_at)
        return Observed(
            weight=None if status.is_over and not status.latched else percent_of(look.percent),
            stable=look.stable or None,
            why_not_ready=wait or self._unready(),
            offsets=self._world.offsets(status, now),
            wish=wish_of(status.plan, evidence, random.betavariate),
        )

    def _unready(self) -> str:
        """Why the candidate may get no more.

        Not in quarantine: endpoints that were set aside because they failed are what a probe must
        find out about, and one that cannot run would leave the last word to nobody.
        """
        is_probed = self.status.phase is Phase.QUARANTINE
        return "" if is_probed else self._world.why_not_ready(self.status)

    # What is written

    def _must_write(self, step: Step, look: Look, now: float) -> bool:
        if step.actions or look.commands_seen or step.status.proposal != self.status.proposal:
            return True
        if step.status.phase is not self.status.phase or self._sent_of_outbox():
            return True
        if step.status.is_over:
            return self._is_running and self._is_done(step.status, self.outbox)
        return self._saved_at is None or not 0 <= now - self._saved_at < SAVE_SECONDS

    def _sent_of_outbox(self) -> bool:
        return any(one.notice.id in self._sent for one in self.outbox)

    @staticmethod
    def _is_done(status: Status, outbox: Outbox) -> bool:
        """Whether nobody needs to look at the release any more, unless somebody says something."""
        is_warm = status.phase is Phase.PROMOTED and status.plan.bake.keep_warm > 0
        return status.is_over and not outbox and not (is_warm and "warm" not in status.told)

    def _split(self, now: float, weight: float) -> None:
        self._judging.split(now, self._weight_of_two(weight))

    def _weight_of_two(self, weight: float) -> float:
        """The candidate's percent of those who are on one of the two versions that are compared.

        Somebody may have given a third one traffic, by hand.
        """
        others = self._world.others(self.status)
        both = 100.0 - others
        return min(100.0 * weight / both, 100.0) if others and both > 0 else weight

    async def _write(self, step: Step, look: Look, commands: Sequence[Command], now: float) -> None:
        weight = step.status.weight_wanted
        if self.status.stage < 0 <= step.status.stage:
            warnings = self._judging.begin(now, self._weight_of_two(weight))
            self.testimony = msgspec.structs.replace(self.testimony, warnings=warnings)
        elif weight != self.status.weight_wanted:
            self._split(now, weight)
        if any(isinstance(action, MarkEvidence) for action in step.actions):
            self._judging.mark()
        news, sent = news_of(step, self.step + 1, now), frozenset(self._sent)
        outbox = without((*self.outbox, *news), sent)
        update = self._update(step, look, outbox)
        if step.writes:
            seen = Seen(look.stable, percent_of(look.percent))
            await self._write_route(step, update, seen, commands)
        else:
            await self._releases.save(self.status.route, update, self._term)
        self._sent -= sent  # more may have been sent while this was written
        self.status, self.step, self.outbox = step.status, self.step + 1, outbox
        self._is_running = not self._is_done(step.status, outbox)
        self._saved_at = now

    async def _refuse(self, look: Look, commands: Sequence[Command], now: float, why: str) -> None:
        """Be done with commands that cannot be written; they must not wait for a better day.

        Tried again each second they would hold up all that is said after them, and be obeyed
        when nobody thinks of them any more. What the judge knows is left as it was last stored,
        for the step that failed may have told it of a weight that never came.
        """
        if not look.commands_seen:
            return
        new = [one for one in commands if one.key not in self.status.commands_done]
        step = refused(self.status, new, now, why)
        outbox = (*self.outbox, *news_of(step, self.step + 1, now))
        fields: dict[str, str | bytes] = {
            "status": encode_status(step.status), "outbox": encode(outbox), "term": self._term,
        }  # fmt: skip
        update = ReleaseUpdate(self.step, fields, commands_taken=look.commands_seen)
        await self._releases.save(self.status.route, update, self._term)

    def fields(self, status: Status, outbox: Outbox) -> dict[str, str | bytes]:
        """All of the hash but its bookkeeping."""
        return {
            "release": status.release_id,
            "status": encode_status(status),
            "judge": self._judging.state(),  # empty as long as it only learns
            "read": self._read if self._judging.is_judging else "",
            "term": self._term,
            "outbox": encode(outbox),
            "evidence": encode_testimony(self.testimony),
        }

    def _update(self, step: Step, look: Look, outbox: Outbox) -> ReleaseUpdate:
        fields = self.fields(step.status, outbox)
        ends = step.status.is_over and (step.writes or not self.status.is_over)
        return ReleaseUpdate(
            self.step,
            fields,
            commands_taken=look.commands_seen,
            running=not self._is_done(step.status, outbox),
            finished=_kept(fields) if ends else b"",
        )

    async def _write_route(
        self, step: Step, update: ReleaseUpdate, seen: Seen, commands: Sequence[Command]
    ) -> None:
        status = step.status
        # The history tells who; of several the last one had the last word.
        by = next((c.by for c in reversed(commands)), "") or "controller"
        author = Author(
            by, "controller", self._own_id, f"release {status.release_id}: {said(step)}"
        )
        change = Change(edit_of(step, status.candidate, seen), term=self._term, release=update)
        try:
            await self._writer.change(status.route, change, author)
        except RefusedError:
            if not lowers(step, seen):
                raise
            await self._write_in_need(step, change, author)

    async def _write_in_need(self, step: Step, change: Change, author: Author) -> None:
        """Something else in the route keeps a candidate from losing its traffic.

        An invalid route is not in force, so its last good form may be put in its place. Where even
        that is refused, as by a history that somebody wrote into, the weight is written without.
        """
        route, update = self.status.route, change.release
        assert update is not None
        last_good = self._world.in_force(route)
        if last_good is not None:
            log.warning("Route %s is invalid; its last good form is written back.", route)
            change = replace(change, edit=lambda state: applied(step, last_good(state)))
            try:
                await self._writer.change(route, change, author)
                return
            except RefusedError as error:
                log.warning(
                    "The history of %s tells nothing of a weight that falls: %s", route, error
                )
        weights = {a.version: written(a.percent) for a in step.actions if isinstance(a, SetWeight)}
        await self._releases.save(route, update, self._term, weights)


def _kept(fields: Mapping[str, str | bytes]) -> bytes:
    """What is kept of a release that ended: all that a report needs."""
    parts = {name: msgspec.Raw(fields[name]) for name in ("status", "evidence")}
    return msgspec.json.encode(parts)
