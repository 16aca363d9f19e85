"""Every command in the README does what the README says, in the order of the README."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.metrics.names import render_table
from tests.adversity.faults import ALL as FAULTS
from tests.servers import HOST, free_port, wait_until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GRAYGATE = [sys.executable, "-m", "gateway.cli"]

# What a newcomer sees; each of these lines stands in the README and must come out of a command.
PROMISED = (
    "X-Graygate-Version: v1",
    "X-Graygate-Reason: stable",
    "alice -> v2 (whitelist)",
    "yes  whitelist  The unit is on the whitelist of v2.",
    "refused  gray:route:chat:weights: the weight of v2 is '140'; write percent from 0 to 100, "
    "for instance 12.5",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.S | re.M)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


def marked(name: str) -> str:
    return README.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->")[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`graygate up --demo` in an empty folder, on ports of its own."""
    folder = tmp_path_factory.mktemp("demo")
    ports = {"8080": str(free_port()), "8081": str(free_port())}
    words = [*GRAYGATE, "up", "--demo", "--port", ports["8080"], "--admin-port", ports["8081"]]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            words, cwd=folder, stdout=out, stderr=out, start_new_session=True
        )
    try:
        told = folder / ".graygate" / "run.json"
        wait_until(
            lambda: told.exists() or process.poll() is not None, (folder / "out").read_text()
        )
        assert process.poll() is None, (folder / "out").read_text()
        assert json.loads(told.read_text())["pid"] == process.pid
        yield {**ports, "folder": str(folder), "banner": ""}
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0, (folder / "out").read_text()
    assert "Ctrl-C stops everything." in (folder / "out").read_text()


def run(words: list[str], demo: dict[str, str]) -> str:
    """One line of the README against the demo, with the ports that the demo has here."""
    if words[:3] == ["redis-cli", "-p", "6399"]:
        words = [*GRAYGATE, "redis", *words[3:]]
    elif words[0] == "graygate":
        words = [*GRAYGATE, *words[1:]]
    words = [word.replace(":8080", f":{demo['8080']}") for word in words]
    done = subprocess.run(
        words,
        cwd=demo["folder"],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def test_the_commands_of_the_first_screen_are_make_targets() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.M)
    for words in commands():
        if words[0] == "make":
            assert words[1] in targets
    ci = (ROOT / ".ci" / "run").read_text()
    assert "make run" in ci
    assert "make test" in ci


def test_every_other_command_works_and_prints_what_is_promised(demo: dict[str, str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    printed = []
    for words in commands():
        if words[0] == "make":
            continue
        assert words[0] in ("curl", "redis-cli", "graygate"), words
        printed.append(run(words, demo))
    everything = [line.rstrip() for line in "\n".join(printed).splitlines()]
    for line in PROMISED:
        assert any(line in promised for promised in README.splitlines()), f"not in README: {line}"
        assert line in everything, f"not printed: {line}"


def test_a_split_typed_by_hand_moves_the_users(demo: dict[str, str]) -> None:
    run(["redis-cli", "-p", "6399", "HSET", "gray:route:chat:weights", "v2", "100"], demo)
    url = f"http://{HOST}:{demo['8080']}/v1/models"
    ends = time.monotonic() + 10
    answer = ""
    while "X-Graygate-Version: v2" not in answer:
        assert time.monotonic() < ends, answer
        answer = run(["curl", "-si", url, "-H", "x-user-id: somebody"], demo)


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    assert marked("metrics") == render_table()


def test_the_vectors_are_those_that_the_tests_hold() -> None:
    vectors = json.loads((ROOT / "tests" / "routing" / "vectors.json").read_text())
    rows = re.findall(
        r"^\| `(.*)` \| `(.*)` \| `([0-9a-f]{16})` \| ([0-9.]+) \|$", marked("vectors"), re.M
    )
    assert rows == [(v["salt"], v["unit"], v["bucket"], v["percent"]) for v in vectors]
    assert len(rows) == 20


def test_the_table_of_faults_names_those_that_the_tests_inflict() -> None:
    rows = [
        row for row in README.splitlines() if re.match(r"\| (gateway|a client|control|Pro).*:", row)
    ]
    for name in ("gateway and a model", "a client", "control", "Prometheus"):
        told = " ".join(row.split("|")[1] for row in rows if row.startswith(f"| {name}"))
        missing = [fault.name for fault in FAULTS if fault.name not in told]
        assert not missing, f"{name}: {missing}"


def test_links_of_the_readme_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", README, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (ROOT / target).exists(), target
