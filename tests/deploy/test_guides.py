"""What the guides of `deploy` tell people to type is there, and the restore they describe works."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gateway.config.catalog import catalog
from tests.deploy.charting import CHART, default_values
from tests.deploy.composing import FILE, services
from tests.deploy.containing import stages
from tests.deploy.gateway import Gateway, plant
from tests.deploy.guides import DEPLOY, GUIDES, ROOT, check_ours, commands, headings, links, ours
from tests.deploy.models import Stage
from tests.servers import HOST, Valkey, free_port, wait_until

# Programs of others; what is ours in them is checked below.
FOREIGN = {
    *("apt-get", "curl", "docker", "helm", "install", "journalctl", "kubectl", "ln", "python3"),
    *("sudo", "systemctl", "systemd-analyze", "/opt/graygate/bin/pip"),
}
ALICE = base64.b64encode(b"alice").decode()
ALL = [(guide, words) for guide in GUIDES for words in commands(guide)]
_IDS = [f"{guide.relative_to(DEPLOY)}: {' '.join(words)[:60]}" for guide, words in ALL]


@pytest.mark.parametrize(("guide", "words"), ALL, ids=_IDS)
def test_a_command_of_a_guide_is_there(guide: Path, words: list[str]) -> None:
    program = words[0]
    inner = ours(words)
    if inner is not None:
        check_ours(inner)
    if program == "make":
        targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.M)
        assert words[1] in targets
    elif program in ("sh", "bash"):
        script = ROOT / words[1]
        assert subprocess.run([program, "-n", script]).returncode == 0
        options = re.findall(r"^#     (--[a-z]+)", script.read_text(), re.M)
        own = words[2 : words.index("chat")] if "chat" in words else []
        assert {word for word in own if word.startswith("--")} <= set(options)
    elif inner is None or program not in ("graygate", "/opt/graygate/bin/graygate"):
        assert program in FOREIGN, program
    for word in words:  # files of this repository, wherever they are named
        is_of_a_cluster = program == "kubectl"
        if re.match(r"(deploy|config)/", word) and "*" not in word and not is_of_a_cluster:
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.relative_to(DEPLOY)))
def test_links_of_a_guide_lead_somewhere(guide: Path) -> None:
    for file, anchor in links(guide):
        assert file.exists(), f"{file} in {guide}"
        assert not anchor or anchor in headings(file), f"{file}#{anchor} in {guide}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.relative_to(DEPLOY)))
def test_settings_and_variables_that_a_guide_names_exist(guide: Path) -> None:
    text = guide.read_text()
    known = catalog()
    keys = {key for setting in known.values() for key in setting.keys}
    sections = "|".join({key.partition(".")[0] for key in keys})
    values = re.findall(r"`settings\.([a-z_]+\.[a-z_]+)`", text)
    for key in [*re.findall(rf"`((?:{sections})\.[a-z_]+)\b[^`/]*`", text), *values]:
        is_value = key.split(".")[1] in ("sentinel", "cluster")  # of the chart, not of the gateway
        assert key in keys or is_value, key
    variables = {name for setting in known.values() for name in setting.variables}
    others = {"GRAYGATE_REDIS_URL", "GRAYGATE_GATEWAY", "GRAYGATE_CONFIG", "GRAYGATE_COMPILE"}
    for name in re.findall(r"\bGRAYGATE_[A-Z_]+\b", text):
        assert name in variables | others, name


def test_the_index_leads_to_every_guide() -> None:
    reached = {file.resolve() for file, _ in links(DEPLOY / "README.md")}
    reached |= {file.resolve() for guide in GUIDES for file, _ in links(guide)}
    assert {guide.resolve() for guide in GUIDES} - {DEPLOY / "README.md"} <= reached


def test_names_that_the_index_uses_are_those_of_chart_compose_and_recipe() -> None:
    text = (DEPLOY / "README.md").read_text()
    values = default_values()
    for name in re.findall(r"^\| (`[^|]+`) \|", text, re.M):
        for path in re.findall(r"`([a-zA-Z]+)[.`]", name):
            assert path in values, path
    assert "preStopSleepSeconds" in values and (CHART / "values.schema.json").exists()
    assert str(FILE.relative_to(ROOT)) in text
    for target in ("slim", "distroless"):
        assert f"`{target}`" in text and target in stages()
    for name in ("gateway", "prometheus", "grafana", "store"):
        [port] = [p.split(":")[1] for p in services()[name]["ports"] if not p.endswith(":8081")]
        assert port in text, name


def test_a_store_and_a_gateway_are_restored_as_the_guide_says(tmp_path: Path) -> None:
    assert "repopulate --why" in (DEPLOY / "operations.md").read_text()
    with Stage() as stage, Valkey() as store:
        model = stage.model()
        plant(store, "chat", 40, v1=model.url, v2=model.url)
        store.cli("SADD gray:route:chat:whitelist:v2 alice")
        with Gateway(tmp_path / "one", store, workers=1) as first:
            wait_until(lambda: ALICE in saved(tmp_path / "one"), "the table is saved")
            before = {user: version(first.data_url, user) for user in (*"abcdefgh", "alice")}
            assert set(before.values()) == {"v1", "v2"} and before["alice"] == "v2"
            store.cli("FLUSHALL")
            wait_until(lambda: "emptied" in state(first), "the loss is noticed")
            words = ["repopulate", "--why", "the store lost its disk", "--yes"]
            done = subprocess.run(
                [sys.executable, "-m", "gateway.cli", *words], cwd=tmp_path / "one", timeout=30
            )
            assert done.returncode == 0
            assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "40"}
            assert store.cli("SMEMBERS gray:route:chat:whitelist:v2") == {"alice"}
            shutil.copytree(tmp_path / "one" / ".graygate" / "state", tmp_path / "copy")
        with Elsewhere(tmp_path / "two", store, tmp_path / "copy") as second:
            wait_until(
                lambda: {user: version(second.data_url, user) for user in before} == before,
                "it serves by the table",
            )


class Elsewhere(Gateway):
    """A gateway with a copy of another one's table, and with a store that is not there."""

    def __init__(self, folder: Path, store: Valkey, table: Path) -> None:
        super().__init__(folder, store, workers=1)
        away = f'redis.url = "redis://{HOST}:{free_port()}"\nprocess.state_dir = "{table}"'
        self._text = re.sub("^redis.url = .*$", away, self._text, flags=re.M)


def saved(folder: Path) -> str:
    file = folder / ".graygate" / "state" / "table.json"
    return file.read_text() if file.exists() else ""


def state(gateway: Gateway) -> str:
    with urllib.request.urlopen(f"{gateway.admin_url}/api/v1/state", timeout=10) as answer:
        return json.dumps(json.load(answer))


def version(data_url: str, user: str) -> str:
    """That answers him; "" while none does."""
    request = urllib.request.Request(f"{data_url}/chat/x", headers={"x-user-id": user})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return str(answer.headers["X-Graygate-Version"])
    except urllib.error.HTTPError:
        return ""
