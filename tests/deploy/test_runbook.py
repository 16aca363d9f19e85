"""Every command of the runbook works on a running gateway, in the order of the runbook."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gateway.release.machine.phase import Phase
from gateway.release.machine.status import begin, encode
from gateway.release.plan.read import read_plan
from tests.deploy.gateway import Gateway, plant
from tests.deploy.models import Stage
from tests.deploy.rules import DEPLOY
from tests.servers import Server, Valkey, wait_until

TEXT = (DEPLOY / "runbook.md").read_text()
# Looks for what, when all is well, is not there; or asks what runs nowhere here.
_MAY_FIND_NOTHING = ("grep '^graygate_errors_total'", "grep '^graygate_telemetry_dropped_total'")


def commands() -> list[str]:
    return [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.S | re.M)
        for line in block.splitlines()
    ]


def test_links_lead_to_sections_and_files() -> None:
    headings = {title.lower() for title in re.findall(r"^#+ (\w+)$", TEXT, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (DEPLOY / target).exists(), target


def test_settings_and_fields_that_it_names_exist() -> None:
    sample = (DEPLOY.parent / "config" / "gateway.toml").read_text()
    for section, key in re.findall(r"`(redis|limits|process|admin)\.(\w+)", TEXT):
        part = sample.partition(f"[{section}]")[2].split("\n[")[0]
        assert re.search(rf"^#?{key} = ", part, re.M), f"{section}.{key}"


def test_every_command_works(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with Stage() as stage, Valkey() as store:
        model = stage.model()
        plant(store, "chat", 10, v1=model.url, v2=model.url)
        store.cli("HSET gray:route:chat path /")
        with Gateway(tmp_path / "gateway", store, workers=1) as gateway:
            stage.users(gateway.data_url, "chat", 20)

            def is_at_work() -> bool:
                text, _ = gateway.metrics()
                wanted = ('graygate_config_revision{route="chat"}', "graygate_requests_in_flight{")
                return all(name in text for name in wanted)

            wait_until(is_at_work, "the route has its first revision, and is asked")
            roll_back(store, "chat")
            for line in commands():
                words = shlex.split(line.split(" | ")[0])
                assert words[0] in ("graygate", "redis-cli", "curl"), line
                _run(line, gateway, store, model.url)


def roll_back(store: Server, route: str) -> None:
    """What a release leaves behind that was rolled back."""
    plan = read_plan({"candidate": "v2", "stages": [{"weight": 100}]}, given={"route": route})
    begun = begin(
        plan, release_id="r1", stable="v1", weight_before=0.0, by="alice", now=time.time()
    )
    ended = msgspec.structs.replace(begun, phase=Phase.ROLLED_BACK, latched=True)
    fields = ("release", "r1", "status", encode(ended))
    store.execute("HSET", f"gray:route:{route}:release", *fields)


def _run(line: str, gateway: Gateway, store: Server, model_url: str) -> None:
    own = f"{shlex.quote(sys.executable)} -m gateway.cli"
    line = re.sub("^graygate", own, line)
    line = re.sub("^redis-cli", f"{own} redis --url {store.url}", line)
    for shown, real in (
        ("http://127.0.0.1:8081", gateway.admin_url),
        ("http://127.0.0.1:8080", gateway.data_url),
        ("http://127.0.0.1:9102", model_url),
    ):
        line = line.replace(shown, real)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=gateway.settings.parent,
        env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "GRAYGATE_CONFIG": "gateway.toml"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode == 1 and any(part in line for part in _MAY_FIND_NOTHING):
        return
    if line.endswith(" doctor") and re.search(r"^\d+ ok, \d+ warnings?\.$", done.stdout, re.M):
        return  # it works; where the machine is busy it has something to say
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert "WRONGTYPE" not in done.stdout and "(error)" not in done.stdout, (line, done.stdout)
