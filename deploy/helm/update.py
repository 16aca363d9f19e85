"""Brings into the chart what it takes from elsewhere in this repository. `make chart` runs it.

Helm reads no file outside a chart, so rules and dashboard are copies; and what `settings` in the
values may hold is what the gateway's own schema says, less what the chart sees to. A test fails
when any of it is out of step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from gateway import __version__
from gateway.config.schema import settings_schema

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "graygate"
COPIES = (
    "deploy/prometheus/alerts.rules.yml",
    "deploy/prometheus/recording.rules.yml",
    "deploy/grafana/graygate.json",
)
# Set by the chart itself: addresses, files, names, and the store's values.
OWN = {
    "listen": {"host", "port", "tls_cert", "tls_key"},
    "process": {"state_dir"},
    "redis": {"url", "username", "sentinel_username", "prefix", "tls_ca", "tls_cert", "tls_key"},
    "admin": {"host", "port", "hosts", "tls_cert", "tls_key"},
}


def wanted() -> dict[Path, str]:
    """What should be in the files of the chart that are made."""
    files = {CHART / "files" / Path(name).name: (ROOT / name).read_text() for name in COPIES}
    schema = CHART / "values.schema.json"
    values: dict[str, Any] = json.loads(schema.read_text())
    values["properties"]["settings"] = settings_part()
    files[schema] = json.dumps(values, indent=1) + "\n"
    about = CHART / "Chart.yaml"
    lines = [
        f'appVersion: "{__version__}"' if line.startswith("appVersion:") else line
        for line in about.read_text().splitlines()
    ]
    files[about] = "\n".join(lines) + "\n"
    return files


def settings_part() -> dict[str, Any]:
    """The schema of `settings`: no secrets, which have a place of their own, nor what is ours."""
    whole: dict[str, Any] = json.loads(msgspec.json.encode(settings_schema()))
    sections: dict[str, Any] = {}
    for name, section in whole["properties"].items():
        if section["type"] == "array":  # [[notify]]: its secrets are files, by names in the values
            sections[name] = section | {"items": _less(section["items"], set())}
            continue
        secret = {key for key, schema in section["properties"].items() if schema.get("writeOnly")}
        part = _less(section, OWN.get(name, set()) | {f"{key}_file" for key in secret})
        if part["properties"]:
            sections[name] = part
    return {
        "type": "object",
        "description": "Settings of the gateway, by the names of config/gateway.toml.",
        "additionalProperties": False,
        "properties": sections,
    }


def _less(section: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    """A section without secrets and some other keys, and without what is said of secrets."""
    kept = {
        key: _without_default(schema)
        for key, schema in section["properties"].items()
        if key not in left_out and not schema.get("writeOnly")
    }
    return {key: value for key, value in section.items() if key != "allOf"} | {"properties": kept}


def _without_default(schema: dict[str, Any]) -> dict[str, Any]:
    """Defaults are the gateway's business; as Helm shows them they would look like the chart's."""
    return {key: value for key, value in schema.items() if key != "default"}


if __name__ == "__main__":
    for path, text in wanted().items():
        path.write_text(text)
