"""Several regions: the values render, and a release goes through one region after the other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.entry import graygate
from gateway.cli.exits import ExitCode
from tests.deploy.charting import ROOT, render

FOLDER = ROOT / "deploy" / "regions"
SCRIPT = FOLDER / "advance.sh"

# Notes each call, and fails as the files FAIL-region or UNREADY-region beside it say.
_FAKE = """\
#!/bin/sh
here=$(dirname "$0")
echo "$REGION $GRAYGATE_GATEWAY $(cat "$GRAYGATE_ADMIN__TOKEN_FILE") $*" >>"$here/calls"
case $1 in
    ready) [ -e "$here/UNREADY-$REGION" ] && exit 1 ;;
    release) [ -e "$here/FAIL-$REGION" ] && exit "$(cat "$here/FAIL-$REGION")" ;;
esac
exit 0
"""


class World:
    """Three regions, and a graygate on PATH that is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "graygate"
        program.write_text(_FAKE)
        program.chmod(0o755)
        lines = ["# the regions"]
        for name in ("one", "two", "three"):
            token = folder / f"token-{name}"
            token.write_text(f"secret-{name}\n")
            lines.append(f"{name}  http://{name}.example:8081  {token}")
        self.regions = folder / "regions.conf"
        self.regions.write_text("\n".join([*lines, ""]))

    def advance(self, *words: str) -> tuple[int, str]:
        """Its exit code and all it said."""
        options = ["--regions", str(self.regions), "--bake", "0", *words]
        done = subprocess.run(
            ["bash", str(SCRIPT), *options],
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "GRAYGATE_ADMIN__TOKEN": "of somebody else",
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.returncode, done.stdout + done.stderr

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def released(self) -> list[str]:
        return [call.split()[0] for call in self.calls() if " release " in call]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_release_goes_through_the_regions_in_order_each_with_its_own_token(world: World) -> None:
    code, said = world.advance("chat", "v2", "--plan", "a plan.toml")
    assert (code, world.released()) == (0, ["one", "two", "three"])
    start = "release start chat v2 --wait --plan a plan.toml"
    first = [call for call in world.calls() if call.startswith("one ")]
    at = "one http://one.example:8081 secret-one"
    assert first == [f"{at} ready", f"{at} {start}", f"{at} ready"]  # before and after
    assert "All regions are done: one, two, three." in said


@pytest.mark.parametrize("code", [ExitCode.FAILED, ExitCode.CONFLICT, ExitCode.ENDED])
def test_the_first_region_that_fails_ends_it_with_its_code(world: World, code: ExitCode) -> None:
    (world.folder / "FAIL-two").write_text(str(int(code)))
    ended, said = world.advance("chat", "v2")
    assert (ended, world.released()) == (code, ["one", "two"])
    assert "done: one." in said and "go on with: --from two" in said


def test_it_goes_on_where_it_was_stopped(world: World) -> None:
    code, said = world.advance("--from", "two", "chat", "v2")
    assert (code, world.released()) == (0, ["two", "three"])
    assert "one: passed over" in said


def test_a_release_that_runs_already_is_waited_for_in_the_first_region_only(world: World) -> None:
    code, _ = world.advance("--from", "two", "--join", "chat", "v2")
    commands = [call.partition(" release ")[2] for call in world.calls() if " release " in call]
    assert (code, commands) == (0, ["watch chat", "start chat v2 --wait"])


def test_gateways_that_are_not_ready_get_no_release(world: World) -> None:
    (world.folder / "UNREADY-one").touch()
    assert world.advance("chat", "v2")[0] == 1
    assert world.released() == []


def test_the_gate_is_asked_after_each_region_but_the_last(world: World) -> None:
    gate = f'echo "$REGION $GATEWAY" >>{world.folder}/gates; [ "$REGION" != two ]'
    code, said = world.advance("--gate", gate, "chat", "v2")
    assert (code, world.released()) == (1, ["one", "two"])
    assert "two: the gate does not agree" in said
    gates = (world.folder / "gates").read_text().splitlines()
    assert gates == ["one http://one.example:8081", "two http://two.example:8081"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chat"], "name the route and the candidate"),
        (["--bake"], "--bake needs a value"),
        (["--bake", "soon", "chat", "v2"], "--bake takes whole seconds"),
        (["--fast", "chat", "v2"], "there is no option --fast"),
        (["--from", "four", "chat", "v2"], "there is no region four"),
        (["--regions", "/nowhere/regions", "chat", "v2"], "/nowhere/regions cannot be read"),
    ],
)
def test_a_wrong_word_is_told_before_anything_is_done(
    world: World, words: list[str], said: str
) -> None:
    code, told = world.advance(*words)
    assert code == 2 and said in told
    assert world.calls() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# none\n", "names no region"),
        ("one http://one\n", "a region is a name, a URL and a token file: one"),
        ("one http://one /nowhere/token\n", "the token file of one cannot be read"),
        ("one http://one TOKEN\none http://two TOKEN\n", "one is there twice"),
    ],
)
def test_a_wrong_list_of_regions_is_told(world: World, text: str, said: str) -> None:
    world.regions.write_text(text.replace("TOKEN", str(world.folder / "token-one")))
    code, told = world.advance("chat", "v2")
    assert code == 2 and said in told


def test_help_is_the_head_of_the_script(world: World) -> None:
    code, said = world.advance("--help")
    assert (
        code == 0 and said.startswith("Takes a release through all regions") and "set -" not in said
    )
    assert subprocess.run(["bash", "-n", str(SCRIPT)]).returncode == 0


def test_the_commands_that_it_calls_are_there() -> None:
    program = re.sub(r"^ *#.*$", "", SCRIPT.read_text(), flags=re.M)
    called = re.findall(r"graygate ((?:release )?[a-z]+)((?: \S+)*)$", program, re.M)
    assert {name for name, _ in called} == {"ready", "release start", "release watch"}
    for name, words in called:
        done = CliRunner().invoke(graygate, [*name.split(), "--help"])
        assert done.exit_code == 0, name
        for option in re.findall(r"--[a-z]+", words):
            assert option in done.output, (name, option)


def test_each_region_has_a_store_of_its_own() -> None:
    yaml = pytest.importorskip("yaml", reason="yaml is not installed; make tools")
    common = yaml.safe_load((FOLDER / "values.yaml").read_text())
    sets = {
        file.stem: {**common, **yaml.safe_load(file.read_text())}
        for file in sorted(FOLDER.glob("values-*.yaml"))
    }
    assert len(sets) >= 2
    assert all(
        not common.keys() & yaml.safe_load(f.read_text()).keys() for f in FOLDER.glob("values-*")
    )
    stores = set()
    for name, chart in render(**sets).items():
        assert (chart.error, chart.invalid) == ("", []), name
        [store] = re.findall('^url = "(.*)"$', settings_of(chart.one("ConfigMap")), re.M)
        stores.add(store)
        admin = chart.one("NetworkPolicy")["spec"]["ingress"][1]["from"]
        assert {peer.popitem()[0] for peer in admin} == {"podSelector", "namespaceSelector"}
    assert len(stores) == len(sets)


def settings_of(config: dict[str, dict[str, str]]) -> str:
    return config["data"]["gateway.toml"]
