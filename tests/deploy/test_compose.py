"""The Compose file: what its services call each other by is there, and what it starts starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.entry import graygate
from gateway.config.environment import read_environment
from gateway.config.settings import Settings
from gateway.process.slots import CONTROL_END_SECONDS
from gateway.process.supervisor import _DRAIN_GRACE_SECONDS
from tests.deploy.composing import FILE, FOLDER, addressed, compose, published, services
from tests.deploy.containing import stages
from tests.deploy.rules import promtool
from tests.servers import HOST, Server, Valkey, free_port, wait_until

OURS = ("model-v1", "model-v2", "routes", "gateway", "users")
# What others listen on, by their documentation.
FOREIGN = {"store": 6379, "prometheus": 9090, "grafana": 3000}


def test_the_schema_of_compose_finds_no_fault() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed; make tools")
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*words, str(FILE)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_every_service_waits_for_services_and_uses_volumes_and_secrets_that_are_there() -> None:
    whole = compose()
    for name, service in services().items():
        assert set(service.get("depends_on", {})) <= services().keys(), name
        assert set(service.get("secrets", [])) <= whole["secrets"].keys(), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_there = (
                (FOLDER / source).exists() if source[0] == "." else source in whole["volumes"]
            )
            assert is_there, f"{name}: {volume}"
    used = {v.split(":")[0] for s in services().values() for v in s.get("volumes", [])}
    assert whole["volumes"].keys() <= used


def test_a_service_that_others_wait_for_has_a_check_of_its_own_or_of_its_image() -> None:
    for service in services().values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                has_own = "test" in services()[name].get("healthcheck", {})
                assert has_own or services()[name]["image"] == "graygate", name


def test_every_address_leads_to_a_service_that_listens_there() -> None:
    listens = {**FOREIGN, "gateway": Settings().listen.port}
    for name in ("model-v1", "model-v2"):
        words = services()[name]["command"]
        listens[name] = int(words[words.index("--port") + 1])
        assert words[words.index("--host") + 1] == "0.0.0.0"
    files = [*FOLDER.glob("grafana/*.yaml"), FOLDER / "prometheus.yml"]
    texts = {name: json.dumps(service) for name, service in services().items()}
    texts |= {file.name: file.read_text() for file in files}
    for place, text in texts.items():
        for host, port in addressed(text):
            here = services().get(place, {}).get("network_mode", f"service:{place}")
            name = here.removeprefix("service:") if host == "127.0.0.1" else host
            ports = {listens[name], Settings().admin.port if name == "gateway" else 0}
            assert port in ports, f"{place}: {host}:{port}"
    assert set(published(services()["gateway"])) == {Settings().listen.port, Settings().admin.port}
    for name, port in FOREIGN.items():
        assert list(published(services()[name])) == [port]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_more_rights_than_they_need(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service  # the image's own
    # A file is the only kind of secret that goes together with read_only.
    assert all("file" in secret for secret in compose()["secrets"].values())


def test_only_the_gateway_builds_the_image_and_from_the_recipe_that_there_is() -> None:
    builds = {name: service["build"] for name, service in services().items() if "build" in service}
    assert builds.keys() == {"gateway"}
    build = builds["gateway"]
    root = (FOLDER / build["context"]).resolve()
    assert (root / build["dockerfile"]).exists() and build["target"] in stages()
    for name in set(OURS) - {"gateway"}:
        assert (services()[name]["image"], services()[name]["pull_policy"]) == ("graygate", "never")


def test_the_checks_are_commands_that_there_are() -> None:
    for name, service in services().items():
        check = service.get("healthcheck", {}).get("test")
        if check and check[1] == "graygate":
            done = CliRunner().invoke(graygate, [*check[2:], "--help"])
            assert done.exit_code == 0, (name, done.output)
    for name in ("routes", "users"):
        assert services()[name]["healthcheck"] == {"disable": True}  # they listen nowhere


def test_the_gateways_variables_are_settings_and_it_is_given_the_time_it_may_take() -> None:
    service = services()["gateway"]
    variables = service["environment"]
    layer = read_environment(variables)
    assert layer.problems == []
    seconds = float(variables["GRAYGATE_PROCESS__DRAIN_SECONDS"])
    grace = float(service["stop_grace_period"].removesuffix("s"))
    assert grace > seconds + _DRAIN_GRACE_SECONDS + CONTROL_END_SECONDS
    assert variables["GRAYGATE_ADMIN__TOKEN_FILE"] == "/run/secrets/" + service["secrets"][0]


@pytest.mark.debian
def test_prometheus_accepts_its_configuration_and_finds_the_rules(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus.yml").read_text()
    (tmp_path / "admin-token").write_text("hush")
    text = text.replace("/run/secrets/", f"{tmp_path}/")
    (tmp_path / "prometheus.yml").write_text(text)
    service = services()["prometheus"]
    for volume in service["volumes"]:
        source, target = volume.split(":")[:2]
        if target.endswith(".rules.yml"):
            assert str(Path(target).parent) == "/etc/prometheus"
            shutil.copy(FOLDER / source, tmp_path)
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == 2
    assert "gateway" in services()["gateway"]["environment"]["GRAYGATE_ADMIN__HOSTS"].split(",")


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    yaml = pytest.importorskip("yaml", reason="yaml is not installed; make tools")
    volumes = dict(v.split(":")[:2] for v in services()["grafana"]["volumes"])
    at = {Path(target).name: target for target in volumes.values()}
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasources.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    [provider] = yaml.safe_load((FOLDER / "grafana" / "dashboards.yaml").read_text())["providers"]
    assert provider["options"]["path"] == str(Path(at["graygate.json"]).parent)
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == at["graygate.json"]


def test_the_token_is_made_once_and_nobody_else_may_enter_its_folder(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "token.sh", tmp_path)
    token = tmp_path / "secrets" / "admin-token"
    said = []
    for _ in range(2):
        done = subprocess.run(
            ["sh", str(tmp_path / "token.sh")], capture_output=True, text=True, check=True
        )
        said.append((token.read_text(), done.stdout))
    assert re.fullmatch(r"[0-9a-f]{64}", said[0][0]) and said[0][0] == said[1][0]
    assert "There is a token already" in said[1][1]
    assert (token.parent.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o700, 0o644)
    assert "/secrets/" in (FOLDER / ".gitignore").read_text().splitlines()


# -- a rehearsal: the same commands, as processes of this machine ----------------------------------


class Rehearsal:
    """Runs services of ours as processes; names and ports are replaced by free ones of loopback."""

    def __init__(self, folder: Path, store: Server) -> None:
        self.folder = folder
        (folder / "admin-token").write_text("hush")
        ports = {name: free_port() for name in ("8080", "8081", "9101", "9102")}
        self.data_url, self.admin_url = (f"http://{HOST}:{ports[p]}" for p in ("8080", "8081"))
        self._names = {
            **{f":{old}": f":{new}" for old, new in ports.items()},
            **{f"//model-v{n}": f"//{HOST}" for n in (1, 2)},
            "redis://store:6379/0": store.url,
            "/run/secrets": str(folder),
            "0.0.0.0": HOST,
        }
        self._ports = ports
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GRAYGATE_LISTEN__PORT": ports["8080"],
            "GRAYGATE_ADMIN__PORT": ports["8081"],
            "GRAYGATE_LISTEN__HOST": HOST,
        }

    def command(self, service: dict[str, Any], words: list[str]) -> list[str]:
        entry = service.get("entrypoint", ["graygate"])
        start = ["-m", "gateway.cli"] if entry == ["graygate"] else entry[1:]
        return [sys.executable, *start, *map(self.here, words)]

    def environment(self, service: dict[str, Any]) -> dict[str, str]:
        own = {key: self.here(text) for key, text in service.get("environment", {}).items()}
        return {key: str(value) for key, value in {**self.environ, **own}.items()}

    def here(self, text: str) -> str:
        for old, new in self._names.items():
            text = text.replace(old, new)
        return str(self._ports.get(text, text))

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        service = services()[name]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(service, service["command"]),
                cwd=self.folder,
                env=self.environment(service),
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            for _ in range(2):  # the second time at once
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            process.wait(40)

    def run(self, service: dict[str, Any], words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def is_healthy(self, name: str) -> bool:
        check = services()[name].get("healthcheck", {}).get("test")
        words = check[2:] if check else stages()["slim"].words("HEALTHCHECK")[1:]
        done = self.run(services()[name], self.command({}, words))
        return done.returncode == 0


def test_the_services_start_in_their_order_and_serve(tmp_path: Path) -> None:
    with ExitStack() as running:
        store = running.enter_context(Valkey())
        rehearsal = Rehearsal(tmp_path, store)
        for name in ("model-v1", "model-v2"):
            running.enter_context(rehearsal.running(name))
        routes = services()["routes"]
        done = rehearsal.run(routes, rehearsal.command(routes, routes["command"]))
        assert done.returncode == 0, done.stderr
        running.enter_context(rehearsal.running("gateway"))
        for name in ("model-v1", "model-v2", "gateway"):
            wait_until(lambda name=name: rehearsal.is_healthy(name), f"{name} is healthy", 40)  # type: ignore[misc]
        running.enter_context(rehearsal.running("users"))
        wait_until(lambda: 'version="v2"' in metrics(rehearsal), "users get answers of v2", 40)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{rehearsal.admin_url}/metrics", timeout=10)


def metrics(rehearsal: Rehearsal) -> str:
    """What Prometheus sees; by the name that it uses."""
    headers = {"Authorization": "Bearer hush", "Host": "gateway:8081"}
    request = urllib.request.Request(f"{rehearsal.admin_url}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    return "\n".join(line for line in text.splitlines() if 'requests_total{code="200"' in line)
