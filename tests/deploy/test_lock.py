"""The lock files hold everything that is installed, by hash, and follow pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from tests.deploy.containing import ROOT

FOLDER = ROOT / "deploy" / "lock"
LOCKS = {name: (FOLDER / f"{name}.txt").read_text() for name in ("runtime", "embedded", "test")}
LOCKS |= {name: (FOLDER / f"{name}.txt").read_text() for name in ("build", "compile")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
MADE_OF = {
    "runtime": [*PROJECT["project"]["dependencies"], *EXTRAS["otel"]],
    "embedded": [*PROJECT["project"]["dependencies"], *EXTRAS["otel"], *EXTRAS["embedded"]],
    "test": [
        *PROJECT["project"]["dependencies"],
        *(need for needs in EXTRAS.values() for need in needs),
    ],
    "build": PROJECT["build-system"]["requires"],
    "compile": PROJECT["tool"]["graygate"]["compile"]["requires"],
}


def sbom() -> ModuleType:
    spec = spec_from_file_location("sbom", FOLDER / "sbom.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    # Its dataclasses look their own module up.
    import sys

    sys.modules["sbom"] = module
    spec.loader.exec_module(module)
    return module


def pinned(name: str) -> dict[str, str]:
    return {package.name: package.version for package in sbom().read_lock(LOCKS[name])}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_versions_and_hashes_and_no_place_to_fetch_from(name: str) -> None:
    for line in LOCKS[name].splitlines():
        is_pin = re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; [^\\]+)? \\", line)
        assert is_pin or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    assert "://" not in LOCKS[name]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_all_that_the_project_names(name: str) -> None:
    """Where this fails: make lock."""
    have = pinned(name)
    for need in MADE_OF[name]:
        found = re.fullmatch(r"([A-Za-z0-9._-]+)(\[\w+\])?([><=,.\d ]*)", need)
        assert found, need
        package = sbom().normal(found[1])
        assert package in have, f"{need} is not in deploy/lock/{name}.txt: make lock"
        for bound in filter(None, found[3].split(",")):
            sign, version = re.fullmatch(r"\s*(>=|<|==)\s*([\d.]+)\s*", bound).groups()  # type: ignore[union-attr]
            above = numbers(have[package]) >= numbers(version)
            assert above is (sign != "<"), f"{package} {have[package]} does not meet {need}"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition(".post")[0]))


def test_the_same_version_is_in_every_lock() -> None:
    smaller = pinned("runtime").items()
    assert smaller <= pinned("embedded").items() <= pinned("test").items()
    shared = pinned("compile").keys() & pinned("test").keys()
    assert all(pinned("compile")[name] == pinned("test")[name] for name in shared)
    assert "mypy" in shared


def test_a_package_without_a_hash_makes_no_bill() -> None:
    with pytest.raises(ValueError, match="click has no hash"):
        sbom().read_lock("click==8.5.1 \\\n")


def test_the_bill_names_each_package_of_the_lock_once() -> None:
    module = sbom()
    packages = module.read_lock(LOCKS["runtime"])
    bill = module.bill(packages, "1.2.3", LOCKS["runtime"].encode())
    assert [c["name"] for c in bill["components"]] == list(pinned("runtime"))
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/graygate@1.2.3"
    [aiohttp] = [c for c in bill["components"] if c["name"] == "aiohttp"]
    hashes = [h for ref in aiohttp["externalReferences"] for h in ref["hashes"]]
    assert len(hashes) > 10 and all(h["alg"] == "SHA-256" for h in hashes)
    other = module.bill(packages, "1.2.4", LOCKS["runtime"].encode())
    assert bill["serialNumber"] != other["serialNumber"]


def test_the_script_that_makes_them_is_a_shell_script() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    assert subprocess.run([shell, "-n", FOLDER / "lock.sh"]).returncode == 0
    text = (FOLDER / "lock.sh").read_text()
    assert all(f"deploy/lock/{name}.txt" in text for name in LOCKS)
    makefile = (ROOT / "Makefile").read_text()
    assert "sh deploy/lock/lock.sh $(BIN)/uv" in makefile
