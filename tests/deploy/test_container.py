"""The recipe of the image: what it promises, checked without a container engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.entry import graygate
from gateway.config.environment import read_environment
from gateway.config.settings import Settings
from tests.deploy.containing import RECIPE, ROOT, context, stages

TARGETS = ("slim", "distroless")


def test_hadolint_finds_no_fault_with_the_recipe() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed; make tools")
    done = subprocess.run([program, str(RECIPE)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_default_target_is_the_one_with_a_shell() -> None:
    assert list(stages())[-1] == "slim"
    assert stages()["distroless"].base == "scratch"


@pytest.mark.parametrize("kind", ["USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL"])
def test_both_targets_run_in_the_same_way(kind: str) -> None:
    first, second = (stages()[target].all(kind) for target in TARGETS)
    assert first == second
    assert len(first) == 1


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_somebody_without_rights(target: str) -> None:
    assert stages()[target].last("USER") == "65532:65532"
    made = RECIPE.read_text() + (RECIPE.parent / "rootfs.py").read_text()
    assert "--uid 65532" in made and "USER = 65532" in made


@pytest.mark.parametrize("target", TARGETS)
def test_its_commands_are_ones_that_the_program_takes(target: str) -> None:
    stage = stages()[target]
    assert stage.words("ENTRYPOINT") == ["graygate"]
    for words in (stage.words("CMD"), stage.words("HEALTHCHECK")[1:]):
        done = CliRunner().invoke(graygate, [*words, "--help"])
        assert done.exit_code == 0, done.output
    assert stage.words("CMD") == ["serve"]
    assert stage.words("HEALTHCHECK") == ["graygate", "ready", "--live"]


@pytest.mark.parametrize("target", TARGETS)
def test_its_variables_are_settings_and_its_ports_the_usual_ones(target: str) -> None:
    stage = stages()[target]
    variables = stage.pairs("ENV")
    assert read_environment(variables).problems == []
    assert variables["PYTHONSAFEPATH"] == "1"
    state = variables["GRAYGATE_PROCESS__STATE_DIR"]
    assert state.startswith(stage.last("WORKDIR") + "/")
    assert stage.words("VOLUME") == [stage.last("WORKDIR")]
    ports = [Settings().listen.port, Settings().admin.port]
    assert stage.last("EXPOSE").split() == [str(port) for port in ports]
    assert "/opt/graygate/bin" in variables["PATH"]


@pytest.mark.parametrize("target", TARGETS)
def test_it_says_what_it_is(target: str) -> None:
    labels = stages()[target].pairs("LABEL")
    wanted = ("title", "description", "licenses", "version", "revision", "created")
    assert list(labels) == [f"org.opencontainers.image.{name}" for name in wanted]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    makefile = (ROOT / "Makefile").read_text()
    for name in ("VERSION", "REVISION"):
        assert f"--build-arg {name}=" in makefile and name in stages()[target].pairs("ARG")


def test_nothing_is_installed_whose_hash_is_not_known() -> None:
    runs = [run for name in ("wheel", "build") for run in stages()[name].all("RUN")]
    steps = [step for run in runs for step in run.split("&&")]
    installs = [step.strip() for step in steps if "pip install" in step]
    assert len(installs) == 4
    for step in installs:
        locked = "--require-hashes" in step and "--only-binary :all:" in step
        assert locked or "--no-deps --no-index" in step, step
    assert "pip uninstall --yes setuptools pip" in steps[-1]


def test_the_gateway_is_compiled_apart_and_only_the_wheel_is_taken_over() -> None:
    assert stages()["wheel"].pairs("ARG") == {"GRAYGATE_COMPILE": "1"}
    images = dict(re.findall(r"^ARG (\w+_IMAGE)=(.*)$", RECIPE.read_text(), re.M))
    assert images["PYTHON_IMAGE"] == images["COMPILER_IMAGE"].replace("3.11-", "3.11-slim-")
    taken = [t for s in stages().values() for t in s.all("COPY") if "--from=wheel" in t]
    assert taken == ["--from=wheel /src/dist dist"]


def test_the_build_sees_what_the_wheel_is_made_of_and_little_else() -> None:
    seen = {path.as_posix() for path in context()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    for name in [*wheel["packages"], *wheel["shared-data"], project["project"]["readme"]]:
        assert any(path == name or path.startswith(f"{name}/") for path in seen), name
    assert {"pyproject.toml", "hatch_build.py", "LICENSE", "deploy/container/rootfs.py"} <= seen
    assert not any(re.search(r"^(tests|\.git|\.venv)|__pycache__|/secrets/", p) for p in seen)
    for copied in (text for s in stages().values() for text in s.all("COPY")):
        words = [word for word in copied.split() if not word.startswith("--")][:-1]
        if "--from" not in copied and words != ["."]:
            assert set(words) <= seen, copied
