"""The suite notices what a test leaves behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent

LEAKS = f"""
import asyncio, subprocess

import pytest

kept = []

@pytest.fixture(autouse=True, scope="session")
def tidy():
    yield
    for process in kept:
        process.kill()
        process.wait()

def test_process():
    kept.append(subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(60)"]))

async def test_task():
    kept_task = asyncio.create_task(asyncio.sleep(60), name="forgotten")

async def test_error_in_the_loop():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

async def test_clean():
    await asyncio.create_task(asyncio.sleep(0))
"""


def test_leaks_fail_the_test_that_leaks(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_leaks=LEAKS)
    config = str(ROOT / "pyproject.toml")
    words = ["-c", config, "-p", "tests.conftest", "-p", "no:cacheprovider", "test_leaks.py"]
    result = pytester.runpytest_subprocess(*words)
    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines_random(
        [
            "*the test left child processes:*",
            "*the test left tasks:*forgotten*",
            "*the loop reported errors:*division by zero*",
        ]
    )
