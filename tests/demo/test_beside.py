"""What happens when something beside the gateway dies; the store is a real server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from gateway.demo.beside import Beside
from gateway.demo.demo import Demo
from gateway.demo.resp import ask
from gateway.demo.store import EmbeddedStore
from gateway.errors import StoreError
from tests.servers import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    embedded = EmbeddedStore(tmp_path / "store", port=0)
    embedded.start()
    yield embedded
    embedded.stop()


def kill(store: EmbeddedStore) -> None:
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)
    wait_until(lambda: not store.is_running, "the store ends")


def test_a_killed_store_is_started_again_with_its_port(store: EmbeddedStore) -> None:
    beside, port = Beside(store, None), store.port
    assert beside.look(0.0) is None
    kill(store)
    assert beside.look(100.0) is None
    assert store.is_running and store.port == port
    assert ask(port, "PING") == "PONG"


def test_a_store_that_cannot_be_started_is_tried_again_later(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beside = Beside(store, None)
    beside.look(0.0)
    kill(store)
    with monkeypatch.context() as patched:

        def fail() -> None:
            raise StoreError("the disk is full")

        patched.setattr(store, "start", fail)
        again_at = beside.look(100.0)
        assert again_at == 110.0
        assert beside.look(105.0) == 110.0
    assert caplog.messages == [
        "The embedded store has ended; starting it again.",
        "No store: the disk is full",
    ]
    assert beside.look(110.0) is None
    assert store.is_running


class EndedDemo:
    def ended(self) -> tuple[str, ...]:
        return ("demo v1 has ended: it left no word",)


def test_a_dead_demo_backend_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    beside = Beside(None, cast(Demo, EndedDemo()))
    assert beside.look(0.0) is beside.look(1.0) is None
    assert caplog.messages == ["Demo v1 has ended: it left no word."]
