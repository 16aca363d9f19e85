"""Who is told what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from gateway.metrics.standing import Standing
from gateway.process.handover import standing_of
from gateway.process.herald import Herald
from gateway.process.notify import Notifier
from gateway.process.slots import Slot
from tests.process.manager import Manager


@dataclass(eq=False)
class FakeChild:
    words: list[str] = field(default_factory=list)

    def say(self, word: str) -> None:
        self.words.append(word)

    @property
    def standings(self) -> list[Standing | None]:
        return [standing_of(word) for word in self.words]


@dataclass
class FakeSlot:
    role: str
    child: FakeChild | None = None
    restarts: int = 0
    is_looping: bool = False
    has_sound_child: bool = True

    def is_sound(self, now: float, silence_seconds: float) -> bool:
        return self.has_sound_child


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager() as manager:
        yield manager


@pytest.fixture
def herald(manager: Manager) -> Iterator[Herald]:
    notifier = Notifier(manager.address, watchdog_seconds=30.0)
    yield Herald(notifier, workers=2)
    notifier.close()


def slots(*fakes: FakeSlot) -> list[Slot]:
    return cast(list[Slot], list(fakes))


def test_control_is_told_once_until_something_changes_or_control_does(herald: Herald) -> None:
    child = FakeChild()
    control, worker = FakeSlot("control", child), FakeSlot("worker 0")
    for _ in range(3):
        herald.tell(slots(control, worker))
    [first] = child.standings
    assert first is not None
    assert (first.workers, first.is_draining) == (2, False)
    assert first.restarts == {"control": 0, "worker 0": 0}
    worker.restarts, worker.is_looping = 5, True
    herald.tell(slots(control, worker))
    second = child.standings[-1]
    assert second is not None
    assert (second.restarts["worker 0"], second.looping) == (5, ("worker 0",))
    control.child = None
    herald.tell(slots(control, worker))
    control.child = FakeChild()
    herald.tell(slots(control, worker))
    assert control.child.standings == [second]
    assert len(child.words) == 2


def test_reloads_are_counted_by_how_they_went(herald: Herald, manager: Manager) -> None:
    child = FakeChild()
    control = FakeSlot("control", child)
    herald.ready("http://127.0.0.1:8080")
    herald.replacing()
    herald.replaced(is_good=True)
    herald.tell(slots(control))
    herald.replacing()
    herald.replaced(is_good=False)
    herald.tell(slots(control))
    good, bad = child.standings
    assert good is not None and bad is not None
    assert (good.reloads, good.failed_reloads, good.is_reload_good) == (1, 0, True)
    assert (bad.reloads, bad.failed_reloads, bad.is_reload_good) == (1, 1, False)
    assert good.reloaded_at == bad.reloaded_at >= good.started_at
    serving = "STATUS=Serving on http://127.0.0.1:8080 with 2 workers."
    vain = f"{serving} The last settings were not taken over; see the log."
    assert [manager.wait("READY=1")[1] for _ in range(3)] == [serving, serving, vain]


def test_a_sign_of_life_is_given_only_while_everybody_is_sound(
    herald: Herald, manager: Manager
) -> None:
    fakes = [FakeSlot("control"), FakeSlot("worker 0")]
    herald.pulse(slots(*fakes), 100.0)
    assert manager.has("WATCHDOG=1")
    manager.messages.clear()
    assert herald.look_at == 115.0
    herald.pulse(slots(*fakes), 114.0)
    assert not manager.has("WATCHDOG=1")
    fakes[1].has_sound_child = False
    for now in (115.0, 116.0, 117.0):
        herald.pulse(slots(*fakes), now)
        assert herald.look_at == now + 1.0
    assert not manager.has("WATCHDOG=1")
    fakes[1].has_sound_child = True
    herald.pulse(slots(*fakes), 118.0)
    assert manager.has("WATCHDOG=1")


def test_while_the_gateway_ends_nobody_is_expected_to_be_there(
    herald: Herald, manager: Manager
) -> None:
    herald.leaving(40.0)
    assert manager.wait("STOPPING=1")[1] == "EXTEND_TIMEOUT_USEC=40000000"
    herald.pulse(slots(FakeSlot("worker 0", has_sound_child=False)), 1.0)
    assert manager.has("WATCHDOG=1")


def test_without_a_watchdog_nothing_is_looked_at() -> None:
    herald = Herald(Notifier(), workers=1)
    herald.pulse(slots(FakeSlot("worker 0")), 1.0)
    assert herald.look_at is None
    assert repr(herald) == "<Herald: starting>"
