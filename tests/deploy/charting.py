"""Helm and the Kubernetes schemas, asked in a process of their own.

    python charting.py CHART < {"name": values, ...}     > {"name": answer, ...}
    python charting.py CHART KUBERNETES < values         2> what the chart says of that version

Helm is a Go library with threads and signal handlers, which the test process is spared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "graygate"
NAMES = ("helm_python", "kubernetes_validate", "yaml")
KUBERNETES = ("1.29", "1.37")
# Kinds of others, whose schemas come with the programs that bring them.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}

Values = dict[str, Any]


class Rendered:
    """What Helm made of one set of values, and what is wrong with it."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.error: str = answer["error"]
        self.notes: str = answer["notes"]
        self.documents: list[dict[str, Any]] = answer["documents"]
        self.invalid: list[str] = answer["invalid"]

    def one(self, kind: str, name: str = "") -> dict[str, Any]:
        """The only document of a kind, or the one whose name ends as said."""
        [found] = [
            document
            for document in self.documents
            if document["kind"] == kind and document["metadata"]["name"].endswith(name)
        ]
        return found

    def kinds(self) -> set[str]:
        return {document["kind"] for document in self.documents}

    def pod(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    def container(self) -> dict[str, Any]:
        [container] = self.pod()["containers"]
        assert isinstance(container, dict)
        return container


def render(**sets: Values) -> dict[str, Rendered]:
    """Renders the chart once for each set of values; skips where the tools are not installed."""
    for name in NAMES:
        pytest.importorskip(name, reason=f"{name} is not installed; make tools")
    done = subprocess.run(
        [sys.executable, __file__, str(CHART)],
        input=json.dumps(sets),
        capture_output=True,
        text=True,
        timeout=80,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: Rendered(answer) for name, answer in json.loads(done.stdout).items()}


def told_for(kubernetes: str, values: Values) -> str:
    """What the chart says when it is meant for this version; only `helm lint` takes one."""
    for name in NAMES:
        pytest.importorskip(name, reason=f"{name} is not installed; make tools")
    done = subprocess.run(
        [sys.executable, __file__, str(CHART), kubernetes],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=80,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def main(chart_folder: str, kubernetes: str = "") -> None:
    import helm_python

    if kubernetes:
        helm_python.lint(chart_folder, json.load(sys.stdin), kube_version=kubernetes)
        return
    sets: dict[str, Values] = json.load(sys.stdin)
    answers: dict[str, dict[str, Any]] = {}
    with helm_python.Chart.load(chart_folder) as chart:
        for name, values in sets.items():
            answer: dict[str, Any] = {"error": "", "notes": "", "documents": [], "invalid": []}
            try:
                files = chart.render(values, name="gray", namespace="models")
            except helm_python.HelmError as error:
                answer["error"] = str(error)
            else:
                answer["notes"] = next(t for f, t in files.items() if f.endswith("NOTES.txt"))
                answer["documents"] = _documents(files)
                answer["invalid"] = _invalid(answer["documents"])
            answers[name] = answer
    json.dump(answers, sys.stdout)


def _documents(files: dict[str, str]) -> list[dict[str, Any]]:
    import yaml

    return [
        document
        for file, text in files.items()
        if not file.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document
    ]


def _invalid(documents: list[dict[str, Any]]) -> list[str]:
    import kubernetes_validate

    found = []
    for document in documents:
        if document["kind"] in FOREIGN:
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(map(str, error.path))
                found.append(f"{document['kind']} {path} ({version}): {error.message}")
    return found


@cache
def default_values() -> Values:
    yaml = pytest.importorskip("yaml", reason="yaml is not installed; make tools")
    values: Values = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


if __name__ == "__main__":
    main(*sys.argv[1:])
