"""Clients that are programs of their own: curl and Node."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

SECONDS = 20.0
NODE_WITH_FETCH = 18
_SCRIPT = Path(__file__).with_name("fetch.mjs")


def curl(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs curl to its end, silent but for errors; its exit code is the caller's business."""
    command = [_found("curl"), "--silent", "--show-error", "--max-time", "20", *words]
    return subprocess.run(command, input=given, capture_output=True, timeout=SECONDS, check=False)


def curl_running(*words: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A curl that writes what it gets when it gets it, and reads what it sends."""
    command = [_found("curl"), "--silent", "--show-error", "--no-buffer", "--max-time", "20"]
    return _running([*command, *words])


def node_running(
    scenario: str, url: str, *words: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """One scenario of the script; skips the test where Node is absent or has no fetch."""
    node = _found("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip("v").partition(".")[0]) < NODE_WITH_FETCH:
        pytest.skip(f"node {version.strip()} has no fetch")
    return _running([node, "--no-warnings", str(_SCRIPT), scenario, url, *words])


def node(scenario: str, url: str, *words: str) -> bytes:
    """What a scenario prints."""
    with node_running(scenario, url, *words) as process:
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said.decode()
        return said


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which a failing test does not wait for."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not on PATH")
    return found
