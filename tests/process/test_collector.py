"""What is there to stay is not looked at again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gateway.process import collector
from gateway.process.collector import Settling, calm_collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_is_alive_now_is_left_in_peace() -> None:
    before = gc.get_freeze_count()
    calm_collector()
    assert gc.get_freeze_count() > before
    assert gc.get_threshold()[0] >= 10_000


def test_it_settles_again_whenever_the_table_has_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    calmed: list[int] = []
    settling = Settling()
    for routes in (0, 1, 1, 2, 3, 4, 7, 8, 100, 199, 5, 200):
        monkeypatch.setattr(collector, "calm_collector", lambda n=routes: calmed.append(n))
        settling.grown_to(routes)
    assert calmed == [1, 2, 4, 8, 100, 200]
