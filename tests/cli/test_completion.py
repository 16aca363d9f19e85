from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_us_for_completions(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert f"_GRAYGATE_COMPLETE={shell}_complete" in result.stdout


def test_bash_takes_the_script(run: Run) -> None:
    bash = shutil.which("bash")
    assert bash, "this test needs bash"
    Path("script").write_text(run("completion", "bash").stdout)
    subprocess.run([bash, "-n", "script"], check=True, timeout=30)


@pytest.mark.parametrize("arguments", [(), ("tcsh",), ("bash", "zsh")])
def test_another_shell_or_none_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("completion", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("graygate: ")
    assert result.stderr.endswith("Try 'graygate completion --help'.\n")
