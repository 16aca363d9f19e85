"""From the lock and the recipe to a gateway that a stranger runs, in an environment of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway import __version__
from tests.deploy.containing import ROOT, context
from tests.deploy.installing import IS_COMPILED, Installation
from tests.servers import HOST, free_port, wait_until

pytestmark = [pytest.mark.index, pytest.mark.slow, pytest.mark.timeout(400)]

LOCK = ROOT / "deploy" / "lock"
# `make compiled` has the wheel compiled; it takes minutes.
KIND = "compiled" if IS_COMPILED else "pure"
# Where a module of each dependency is, if a library of the system is missing it fails to load.
MODULES = "aiohttp, click, hiredis, msgspec, orjson, prometheus_client, re2, ssl, uvloop, xxhash"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installed")
    installation = Installation(folder)
    installation.build()
    yield installation
    shutil.rmtree(folder)


def test_every_package_is_the_locked_one_and_nothing_else_is_there(installed: Installation) -> None:
    program = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    said = json.loads(subprocess.check_output([installed.python, "-P", "-c", program]))
    found = {name.lower().replace("_", "-"): version for name, version in said.items()}
    assert found.pop("graygate") == __version__
    locked = re.findall(r"^([\w.-]+)==([^ ]+)", (LOCK / "runtime.txt").read_text(), re.M)
    assert found.items() <= set(locked)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["otel"]]
    assert {re.split(r"[>=<\[ ]", need)[0] for need in wanted} <= found.keys()


def test_the_wheel_holds_all_files_of_the_package_and_the_samples(installed: Installation) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {re.sub(r"^graygate-[^/]+\.data/data/", "", name) for name in wheel.namelist()}
    package = {path.as_posix() for path in context() if path.parts[0] == "gateway"}
    assert package <= names and "gateway/py.typed" in names
    samples = {name for name in names if name.startswith("share/graygate/")}
    assert {
        "share/graygate/config/gateway.toml",
        "share/graygate/grafana/graygate.json",
        "share/graygate/prometheus/alerts.rules.yml",
        "share/graygate/systemd/graygate.service",
    } <= samples
    machine_code = {name for name in names if name.endswith(".so")}
    assert bool(machine_code) is IS_COMPILED
    assert installed.wheel.name.endswith("-py3-none-any.whl") is not IS_COMPILED
    rest = names - package - samples - machine_code
    assert all(re.match(r"graygate-[^/]+\.dist-info/", name) for name in rest), rest


def test_installing_it_runs_nothing(installed: Installation) -> None:
    """A-22: no file that the interpreter runs at each start, and no script but our own."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        assert not [name for name in wheel.namelist() if name.endswith(".pth")]
        assert not [name for name in wheel.namelist() if ".data/scripts/" in name]
        [entry] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
        assert wheel.read(entry).decode().split() == [
            *("[console_scripts]", "graygate", "=", "gateway.cli:main"),
        ]
    assert list(installed.packages.glob("*.pth")) == []
    programs = {path.name for path in (installed.environment / "bin").iterdir()}
    assert not any(name.startswith(("pip", "easy_install")) for name in programs)


def test_the_bill_of_materials_names_what_is_installed(installed: Installation) -> None:
    words = [str(installed.python), str(LOCK / "sbom.py"), str(LOCK / "runtime.txt"), __version__]
    bill = json.loads(subprocess.check_output(words))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {component["bom-ref"]: component for component in bill["components"]}
    assert all("licenses" in c for c in components.values() if "properties" not in c)
    ours = bill["metadata"]["component"]["bom-ref"]
    edges = {entry["ref"]: set(entry["dependsOn"]) for entry in bill["dependencies"]}
    assert edges.keys() == {ours, *components}
    assert set().union(*edges.values()) <= components.keys()
    named = {components[ref]["name"] for ref in edges[ours]}
    assert {"aiohttp", "hiredis", "opentelemetry-sdk"} <= named and "idna" not in named
    assert subprocess.check_output(words) == subprocess.check_output(words)


def test_without_a_shell_it_runs_too(installed: Installation) -> None:
    chroot = shutil.which("chroot")
    if os.geteuid() != 0 or chroot is None or not shutil.which("ldd"):
        pytest.skip("needs root, chroot and ldd")
    root = installed.root_file_system()
    assert not [path for path in root.rglob("*sh") if path.name in ("sh", "bash", "dash")]
    as_nobody = [chroot, "--userspec=65532:65532", str(root)]
    done = subprocess.run([*as_nobody, "true"], capture_output=True)
    if done.returncode == 125:  # chroot itself failed
        pytest.skip("chroot is not allowed here")
    program = (
        f"import {MODULES}, pathlib, zoneinfo\n"
        "believed = ssl.create_default_context().get_ca_certs()\n"
        "lost = [p for p in pathlib.Path('/etc/ssl/certs').iterdir() if not p.exists()]\n"
        "print(len(believed) > 0 and not lost and len(zoneinfo.available_timezones()) > 400)"
    )
    python, graygate = str(installed.python), str(installed.program)
    assert _said([*as_nobody, python, "-P", "-c", program]) == "True\n"
    assert _said([*as_nobody, graygate, "--version"]) == f"graygate {__version__}, {KIND}\n"
    assert _said([*as_nobody, graygate, "config", "check"]) == "defaults (no settings file): ok\n"
    for name in ("tmp", "var/lib/graygate"):
        _said([*as_nobody, python, "-c", f"open('/{name}/x', 'w')"])


def _said(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stranger_starts_it_moves_the_split_and_stops_it(
    installed: Installation, tmp_path: Path
) -> None:
    installed.add_store()
    with _demo(installed, tmp_path) as (data_url, admin_url, store_port):
        assert {_version(data_url, f"user-{n}") for n in range(60)} == {"v1", "v2"}
        with socket.create_connection((HOST, store_port), timeout=10) as client:
            client.sendall(b"HSET gray:route:chat:weights v2 100\r\n")
            assert client.recv(100) == b":0\r\n"
        wait_until(lambda: _version(data_url, "user-1") == "v2", "the split has moved")
        assert {_version(data_url, f"user-{n}") for n in range(20)} == {"v2"}
        with urllib.request.urlopen(f"{admin_url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert 'graygate_split_weight_ratio{route="chat",version="v2"} 1.0' in text
        assert re.search(r'graygate_requests_total\{code="200",route="chat",version="v2"\}', text)


@contextlib.contextmanager
def _demo(installed: Installation, folder: Path) -> Iterator[tuple[str, str, int]]:
    ports = ["--port", str(free_port()), "--admin-port", str(free_port())]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [installed.program, "up", "--demo", *ports],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        told = folder / ".graygate" / "run.json"
        wait_until(lambda: told.exists() or process.poll() is not None, "it is up", 60)
        assert process.poll() is None, (folder / "out").read_text()
        said = json.loads(told.read_text())
        store = urlsplit(said["store_url"]).port
        assert store is not None
        yield said["data_url"].rstrip("/"), said["admin_url"].rstrip("/"), store
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0, (folder / "out").read_text()


def _version(data_url: str, user: str) -> str:
    request = urllib.request.Request(f"{data_url}/v1/models", headers={"x-user-id": user})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.headers["X-Graygate-Version"])
