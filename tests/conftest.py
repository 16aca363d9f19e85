"""Stores that tests share, and the check that no test leaves anything running."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from gateway.compiled import build
from tests.servers import Redis, Server, Valkey
from tests.tls import Authority


def pytest_configure(config: pytest.Config) -> None:
    # Tests that look for what nobody has thought of.
    config.addinivalue_line(
        "markers", "fuzz: as long as GRAYGATE_FUZZ_SECONDS says (each), a moment by default"
    )
    # A shell starts what runs in its background deaf to Ctrl-C, and children inherit that; tests
    # that press it would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if build() == "compiled":
        reason = "compiled modules call each other directly: no name in them can be replaced"
        for item in items:
            if item.get_closest_marker("pure"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """One server for the whole run; tests take `store`, which is the same server, emptied."""
    with Valkey(unixsocket=True) as server:
        yield server


@pytest.fixture
def store(valkey: Server) -> Iterator[Server]:
    """An empty store, shared by all tests: never stop, freeze or reconfigure it."""
    yield from _lent(valkey)


@pytest.fixture
def fresh_valkey() -> Iterator[Server]:
    """A server of the test's own, to be killed, frozen and restarted."""
    with Valkey(appendonly=True) as server:
        yield server


@pytest.fixture(scope="session", params=[Valkey, pytest.param(Redis, marks=pytest.mark.debian)])
def any_kind(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as server:
        yield server


@pytest.fixture
def any_server(any_kind: Server) -> Iterator[Server]:
    """An empty store, once Valkey and once Debian's Redis; shared like `store`."""
    yield from _lent(any_kind)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _lent(server: Server) -> Iterator[Server]:
    server.flush()
    yield server
    assert server.is_running, "the test ended the shared server: take fresh_valkey instead"


# -- nothing is left behind ------------------------------------------------------


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a child process, an asyncio task or an error in the loop."""
    before = _children()
    if iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_leaked_tasks")
    yield
    left = _children() - before
    assert not left, f"the test left child processes: {[_command(pid) for pid in left]}"


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    errors: list[str] = []

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(note)
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"the test left tasks: {left}"
    assert not errors, f"the loop reported errors: {errors}"


def _children() -> set[int]:
    """The ids of this process's children; empty where there is no /proc."""
    found: set[int] = set()
    for file in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        with suppress(OSError):  # a thread may end in between
            found.update(map(int, file.read_text().split()))
    return found


def _command(pid: int) -> str:
    file = Path(f"/proc/{pid}/cmdline")
    words = file.read_bytes().split(b"\0") if file.exists() else []
    return f"{pid}: {b' '.join(words).decode(errors='replace')}"
