from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.entry import graygate
from tests.admin.running import plant, redis_settings
from tests.cli.live import Live, live
from tests.servers import Server

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts in an empty folder, with none of our variables set."""
    for variable in os.environ:
        if variable.startswith("GRAYGATE_"):
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Runs a command line in this process: `run("config", "show", env={...})`."""

    def invoke(*arguments: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(graygate, arguments, env=env)

    return invoke


@pytest.fixture
def up(store: Server) -> Iterator[Live]:
    """A gateway that answers commands: the route `chat` with v1 stable and v2 at 10 %."""
    plant(store)
    with live(redis_settings(store)) as up:
        up.wait_revision(1)
        yield up
