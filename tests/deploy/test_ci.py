"""The example pipeline: its script against a shim that plays every ending, and a real gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.exits import ExitCode
from tests.deploy.gateway import Gateway, plant
from tests.servers import Server, wait_until

FOLDER = Path(__file__).parents[2] / "deploy" / "ci"
SCRIPT = FOLDER / "gray-step.sh"
REPOSITORY = str(Path(__file__).parents[2])

# Notes each call, and ends as the test has laid down for its first two words.
SHIM = """#!/bin/sh
printf '%s\\n' "$*" >>calls
name=$(printf '%s-%s' "$1" "${2:-}" | tr ' ' '-')
[ ! -f "out-$name" ] || cat "out-$name"
[ ! -f "code-$name" ] || exit "$(cat "code-$name")"
"""
REAL = f"""#!/bin/sh
PYTHONPATH={REPOSITORY} exec {sys.executable} -m gateway.cli "$@"
"""
WANTED = {"ROUTE": "chat", "VERSION": "v3", "URLS": "http://10.0.0.3:1 http://10.0.0.4:1"}


class Step:
    """The script in a folder of its own, with a `graygate` of the test's on its path."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "graygate").write_text(program)
        (bin_folder / "graygate").chmod(0o755)
        self.environment = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(folder)}

    def ends(self, name: str, code: int) -> None:
        (self.folder / f"code-{name}").write_text(str(code))

    def prints(self, name: str, text: str) -> None:
        (self.folder / f"out-{name}").write_text(text)

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", str(SCRIPT)],
            cwd=self.folder,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **variables: str) -> tuple[int, str]:
        process = self.start(**variables)
        _, told = process.communicate(timeout=60)
        return process.returncode, told

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path, SHIM)


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_every_shell_takes_the_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not there")
    subprocess.run([shell, "-n", str(SCRIPT)], check=True, timeout=30)


def test_nothing_is_installed_by_a_name_that_a_stranger_may_register() -> None:
    for file in sorted(FOLDER.parent.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            assert not re.search(r"\bpipx? install (-\S+ )*graygate\b", file.read_text()), file


def test_it_registers_releases_waits_and_keeps_the_report(step: Step) -> None:
    step.prints("release-report", "# Report\n")
    code, told = step.run(**WANTED, DIGEST="sha256:1f", MODEL_ID="chat-3", WHY="run 7")
    assert (code, told) == (0, "gray-step: v3 is promoted on chat\n")
    assert step.calls == [
        "ready",
        "version add chat v3 http://10.0.0.3:1 http://10.0.0.4:1 --digest sha256:1f "
        "--model-id chat-3 --why run 7",
        "release start chat v3 --mode automatic --why run 7 --preset canary",
        "release watch chat --timeout 14400",
        "release report chat",
    ]
    assert (step.folder / "release-report.md").read_text() == "# Report\n"


def test_a_plan_of_ones_own_takes_the_place_of_the_preset(step: Step) -> None:
    step.run(**WANTED, PLAN="plan.toml", MODE="manual", TIMEOUT="60")
    assert "release start chat v3 --mode manual --why pipeline --plan plan.toml" in step.calls
    assert "release watch chat --timeout 60" in step.calls


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (ExitCode.FAILED, "v3 was rolled back on chat; release-report.md says why"),
        (ExitCode.UNREACHABLE, "what became of the release is not known"),
        (ExitCode.ENDED, "ended without a decision: aborted or expired"),
        (ExitCode.STILL_RUNS, "still runs; go on with: graygate release watch chat"),
    ],
)
def test_it_ends_as_the_release_ended(step: Step, code: ExitCode, told: str) -> None:
    step.ends("release-watch", code)
    ended, said = step.run(**WANTED)
    assert (ended, told in said) == (code, True), said
    assert "release report chat" in step.calls


@pytest.mark.parametrize(("name", "calls"), [("ready-", 1), ("version-add", 2)])
def test_what_fails_before_the_release_ends_the_step(step: Step, name: str, calls: int) -> None:
    step.ends(name, 3)
    code, said = step.run(**WANTED)
    assert (code, len(step.calls)) == (3, calls)
    assert said.startswith("gray-step: failed with 3: graygate ")


def test_a_release_that_an_earlier_run_has_started_is_waited_for(step: Step) -> None:
    step.ends("release-start", 1)
    step.prints("release-status", '{"running": true,\n "status": {"candidate": "v3"}}')
    code, said = step.run(**WANTED)
    assert code == 0
    assert "a release of v3 runs already; waiting for it" in said


@pytest.mark.parametrize(
    "status",
    ["", '{"running": false, "candidate": "v3"}', '{"running": true, "candidate": "v4"}'],
)
def test_a_release_that_is_refused_ends_the_step(step: Step, status: str) -> None:
    step.ends("release-start", 4)
    step.prints("release-status", status)
    code, said = step.run(**WANTED)
    assert (code, said) == (4, "gray-step: the release could not be started\n")


@pytest.mark.parametrize("missing", sorted(WANTED))
def test_what_is_missing_is_told(step: Step, missing: str) -> None:
    code, said = step.run(**(WANTED | {missing: ""}))
    assert (code, said) == (2, "gray-step: set ROUTE, VERSION and URLS\n")
    assert not (step.folder / "calls").exists()


def test_the_codes_it_tells_of_are_those_of_the_commands() -> None:
    text, table = SCRIPT.read_text(), (FOLDER / "README.md").read_text()
    for code in (0, 1, 2, 3, 4, 6, 7):
        assert code in list(ExitCode)
        assert re.search(rf"^#.*\b{code}  ", text, re.M), code
        assert f"| {code} |" in table, code


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_pipelines_run_the_script_and_hold_no_secret(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert "sh deploy/ci/gray-step.sh" in text
    assert "GRAYGATE_GATEWAY" in text
    assert "gray_" not in text  # how a token begins
    assert "\t" not in text
    # What was typed into a form reaches a command through its environment alone.
    commands = re.findall(r"^ *(?:- )?run: (.*)$", text, re.M)
    assert not [command for command in commands if "${{" in command]


def test_a_real_gateway_releases_and_the_step_ends_as_the_release_does(
    store: Server, tmp_path: Path
) -> None:
    plant(store, "chat", None, v1="http://127.0.0.1:9", v2="http://127.0.0.1:9")
    with Gateway(tmp_path / "gateway", store, workers=1) as gateway:
        (tmp_path / "step").mkdir()
        step = Step(tmp_path / "step", REAL)
        step.environment["GRAYGATE_GATEWAY"] = gateway.admin_url
        variables = {**WANTED, "URLS": "http://127.0.0.1:9", "MODE": "manual"}
        graygate = [str(tmp_path / "step" / "bin" / "graygate"), "release"]
        process = step.start(**variables)
        try:
            wait_until(
                lambda: (
                    subprocess.run(
                        [*graygate, "abort", "chat", "--why", "enough"],
                        env=step.environment, capture_output=True, timeout=60,
                    ).returncode
                    == 0
                ),
                "the release runs and is aborted",
            )  # fmt: skip
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == ExitCode.ENDED, said
        assert "ended without a decision" in said
        assert (tmp_path / "step" / "release-report.md").read_text().startswith("#")
