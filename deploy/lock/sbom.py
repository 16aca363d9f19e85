"""The bill of materials of a lock file, as CycloneDX 1.6 JSON on standard output.

    python deploy/lock/sbom.py deploy/lock/runtime.txt VERSION > graygate.cdx.json

Names, versions and hashes come from the lock; licences and what needs what from the packages
themselves, as far as the interpreter that runs this has them installed in that version. The same
lock gives the same bytes, so a bill can be compared. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

OURS = "pkg:pypi/graygate@{version}"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\\n]*?))?\s*\\?$", re.M)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package of a lock: any of its files with one of these hashes will do."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(text: str) -> list[Pinned]:
    """The packages of a lock in its order; ValueError when one has no hash."""
    heads = list(_PINNED.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    packages = []
    for head, end in zip(heads, ends, strict=True):
        name, version, marker = head.groups(default="")
        hashes = tuple(sorted(_HASH.findall(text[head.end() : end])))
        if not hashes:
            raise ValueError(f"{name} has no hash in the lock")
        packages.append(Pinned(normal(name), version, marker.strip(), hashes))
    return packages


def bill(packages: list[Pinned], version: str, lock: bytes) -> Json:
    """The whole document."""
    ours = OURS.format(version=version)
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{ours} {hashlib.sha256(lock).hexdigest()}")
    known = {package.name: package for package in packages}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {
            "component": {
                **{"type": "application", "bom-ref": ours, "name": "graygate", "purl": ours},
                **{"version": version, "licenses": [{"license": {"id": "Apache-2.0"}}]},
            }
        },
        "components": [_component(package) for package in packages],
        "dependencies": [
            {"ref": ours, "dependsOn": _direct(known)},
            *({"ref": p.purl, "dependsOn": _needs(p, known)} for p in packages),
        ],
    }


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _component(package: Pinned) -> Json:
    component: Json = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        # Each of them is the hash of another file of this version: wheels, and the source.
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"{package.purl}#{index}",
                "hashes": [{"alg": "SHA-256", "content": content}],
            }
            for index, content in enumerate(package.hashes)
        ],
    }
    if licence := _licence(package):
        component["licenses"] = [{"license": {"name": licence}}]
    if package.marker:
        component["properties"] = [{"name": "python:marker", "value": package.marker}]
    return component


def _licence(package: Pinned) -> str:
    installed = _installed(package)
    if installed is None:
        return ""
    meta = installed.metadata
    for field in ("License-Expression", "License"):
        for named in meta.get_all(field) or []:
            if named and "\n" not in named:  # some put the whole text there
                return str(named)
    classes = [c for c in meta.get_all("Classifier") or [] if c.startswith("License :: ")]
    return " AND ".join(c.rpartition(" :: ")[2] for c in classes)


def _needs(package: Pinned, known: dict[str, Pinned]) -> list[str]:
    installed = _installed(package)
    lines = (installed.requires or []) if installed else []
    wanted = {normal(line) for line in _names(lines)}
    return sorted(known[name].purl for name in wanted if name in known)


def _direct(known: dict[str, Pinned]) -> list[str]:
    """What we name ourselves, extras included; all of it where we are not installed."""
    try:
        lines = distribution("graygate").requires or []
    except PackageNotFoundError:
        lines = list(known)
    names = {normal(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9._-]+", line))}
    return sorted(known[name].purl for name in names if name in known)


def _names(lines: list[str]) -> list[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if "extra ==" not in line)
    return [match[0] for match in found if match]


def _installed(package: Pinned) -> Distribution | None:
    try:
        found = distribution(package.name)
    except PackageNotFoundError:
        return None
    return found if found.version == package.version else None


def main(lock: Path, version: str) -> None:
    text = lock.read_text()
    json.dump(bill(read_lock(text), version, text.encode()), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
