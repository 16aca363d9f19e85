"""A real Prometheus that scrapes every second, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest

from tests.deploy.rules import ALERTS, RECORDING, hurried
from tests.servers import HOST, free_port, wait_until

_CONFIG = """\
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: [ "{folder}/*.rules.yml" ]
scrape_configs:
  - job_name: graygate
    file_sd_configs: [ {{ files: [ "{folder}/targets.json" ], refresh_interval: 1s }} ]
"""


class Prometheus:
    """One server with the project's rules, hurried; what it scrapes may change while it runs."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("prometheus")
        if found is None:
            pytest.skip("prometheus is not on PATH")
        self._binary = found
        self._folder = folder
        self.port = free_port()

    def __repr__(self) -> str:
        return f"<Prometheus on {self.port}>"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        for file in (RECORDING, ALERTS):
            (self._folder / file.name).write_text(hurried(file.read_text()))
        config = self._folder / "prometheus.yml"
        config.write_text(_CONFIG.format(folder=self._folder))
        self.scrape()
        words = [self._binary, f"--config.file={config}", f"--storage.tsdb.path={self._folder}/db"]
        words += [f"--web.listen-address={HOST}:{self.port}", "--log.level=warn"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_until(self._is_ready, "Prometheus is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def scrape(self, *admin_urls: str) -> None:
        """Follow these gateways from now on, and no others."""
        targets = [{"targets": [urllib.parse.urlsplit(url).netloc for url in admin_urls]}]
        (self._folder / "next").write_text(json.dumps(targets))
        (self._folder / "next").replace(self._folder / "targets.json")

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What an instant query finds: labels and value."""
        data = self._get("query?" + urllib.parse.urlencode({"query": expression}))
        return [(found["metric"], float(found["value"][1])) for found in data["result"]]

    def value(self, expression: str) -> float | None:
        """Of a query that finds one sample at most."""
        found = self.query(expression)
        assert len(found) < 2, found
        return found[0][1] if found else None

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire, with the route or process that they are about."""
        return {
            (alert["labels"]["alertname"], _about(alert["labels"]))
            for alert in self._get("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    def wait_firing(self, *wanted: tuple[str, str], seconds: float = 60.0) -> None:
        missing = set(wanted)

        def are_firing() -> bool:
            missing.difference_update(self.firing())
            return not missing

        try:
            wait_until(are_firing, "alerts fire", seconds)
        except AssertionError:
            raise AssertionError(f"these never fired: {missing}; now: {self.firing()}") from None

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/api/v1/{path}", timeout=10) as got:
            answer: dict[str, Any] = json.load(got)
        assert answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/-/ready", timeout=5) as got:
                return bool(got.status == 200)
        except OSError:
            return False


def _about(labels: dict[str, str]) -> str:
    return labels.get("route") or labels.get("process") or labels.get("cause") or ""
