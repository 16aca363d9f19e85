"""The image, built by buildah and run by podman, on a base of our own making: `make image-check`.

The base is Debian from the mirror of this machine's apt, by debootstrap, with `python` where the
official images have it; so no registry of images is needed. All that is made lies in one folder.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.containing import RECIPE, ROOT

PROGRAMS = ("buildah", "podman", "debootstrap", "apt-get")
BASE, COMPILER = "localhost/graygate-base:bookworm", "localhost/graygate-base:compiler"
# Names that only apt resolves, as python3.11-distutils, are given as what provides them.
_PACKAGES = (
    *("ca-certificates", "tzdata", "python3.11", "python3.11-venv"),
    *("python3-distutils", "python3-lib2to3"),
)
_COMPILER = f"""FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends gcc python3.11-dev libc6-dev
"""
# What pip is told on this machine, as far as it is about the way to the index.
_PIP = ("index-url", "trusted-host", "proxy", "cert", "timeout", "default-timeout")
# Where the recipe's steps see it; of it only an empty folder stays in `slim`.
_PIP_FOLDER = "/run/pip"
_MINUTES = 60

# As deploy/README.md, Compose and the chart run it; the limits are an engine's own otherwise, which
# may be more than a root without CAP_SYS_RESOURCE can give.
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp:mode=1777,size=16m", "--cap-drop", "all"),
    *("--security-opt", "no-new-privileges", "--network", "host"),
    *("--ulimit", "nofile=10000:10000", "--ulimit", "nproc=10000:10000"),
)


class Container:
    """One that runs in the background; its files and its last words stay until it is removed."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine

    def inspect(self) -> Any:
        [found] = json.loads(self._engine.podman("container", "inspect", self.name).stdout)
        return found

    @property
    def is_running(self) -> bool:
        return bool(self.inspect()["State"]["Running"])

    @property
    def is_healthy(self) -> bool:
        """By the image's own command; without systemd nobody else asks it."""
        done = self._engine.podman("healthcheck", "run", self.name, is_checked=False)
        return done.returncode == 0

    def log(self) -> str:
        done = self._engine.podman("logs", self.name)
        return done.stdout + done.stderr

    def changed(self) -> list[str]:
        """Files of the image that are not as they were, and new ones; those of volumes are not."""
        return self._engine.podman("diff", self.name).stdout.splitlines()

    def stop(self, *words: str) -> int:
        self._engine.podman("stop", "--time", "30", *words, self.name)
        return int(self.inspect()["State"]["ExitCode"])


class Engine:
    """buildah and podman with a storage of their own, which is gone after `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._storage = ["--root", str(folder / "root"), "--runroot", str(folder / "run")]
        self._pip = folder / "pip"

    def podman(self, *words: str, is_checked: bool = True) -> subprocess.CompletedProcess[str]:
        own = ["--tmpdir", str(self.folder / "tmp"), "--cgroup-manager", "cgroupfs"]
        own += ["--log-level", "fatal"]  # it misses systemd, which no test needs
        return _run(["podman", *self._storage, *own, *words], is_checked, 2 * _MINUTES)

    def make_bases(self) -> None:
        tree = self.folder / "tree"
        words = ["debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
        _run([*words, "bookworm", str(tree), *_mirror()], True, 10 * _MINUTES)
        for name in ("python3.11", "python3", "python"):
            (tree / "usr" / "local" / "bin" / name).symlink_to("/usr/bin/python3.11")
        archive = self.folder / "tree.tar"
        _run(["tar", "-C", str(tree), "-cf", str(archive), "."], True, 5 * _MINUTES)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.podman("import", "--change", f"ENV PATH={path}", str(archive), BASE)
        archive.unlink()
        shutil.rmtree(tree)
        recipe = self.folder / "compiler"
        recipe.write_text(_COMPILER)
        self._build([str(self.folder)], recipe, COMPILER)

    def build(self, target: str, *, compiled: bool) -> str:
        """The image's name. What two builds have in common is done once."""
        name = f"localhost/graygate:{target}-{'compiled' if compiled else 'pure'}"
        arguments = {"PYTHON_IMAGE": BASE, "COMPILER_IMAGE": COMPILER}
        arguments |= {"GRAYGATE_COMPILE": str(int(compiled)), "REVISION": "none"}
        words = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        # The recipe beside it is what Docker goes by; buildah wants to be told.
        words += ["--ignorefile", f"{RECIPE}.dockerignore", "--target", target, "--layers"]
        words += ["--volume", f"{self._pip_settings()}:{_PIP_FOLDER}:ro"]
        words += ["--volume", f"{self._pip}/pip.conf:/etc/pip.conf:ro"]
        self._build([*words, str(ROOT)], RECIPE, name)
        return name

    def run(self, image: str, *words: str, entry: str = "graygate") -> str:
        """What a command says that ends by itself."""
        given = ["--rm", *HARDENED, "--no-healthcheck", "--entrypoint", entry]
        return self.podman("run", *given, image, *words).stdout

    @contextmanager
    def running(self, name: str, words: list[str]) -> Iterator[Container]:
        """`words` are those of `podman run`, the image's name among them."""
        container = Container(self, name)
        self.podman("run", "--detach", "--name", name, *words)
        try:
            yield container
        except BaseException:
            print(container.log()[-4000:])
            raise
        finally:
            self.podman("rm", "--force", "--time", "5", "--volumes", name)

    def close(self) -> None:
        self.podman("rm", "--force", "--all", "--time", "5", is_checked=False)
        self.podman("rmi", "--force", "--all", is_checked=False)
        _run(["umount", "--quiet", str(self.folder / "root" / "overlay")], False, _MINUTES)
        shutil.rmtree(self.folder)

    def _build(self, words: list[str], recipe: Path, name: str) -> None:
        # Docker's format is the one that has health checks.
        own = ["--isolation", "chroot", "--network", "host", "--format", "docker"]
        own += ["--pull-never", "--file", str(recipe), "--tag", name]
        _run(["buildah", *self._storage, "bud", *own, *words], True, 20 * _MINUTES)

    def _pip_settings(self) -> Path:
        self._pip.mkdir(exist_ok=True)
        said = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True)
        settings = {}
        for line in said.splitlines():  # the later ones are the stronger ones
            key, _, value = line.partition("=")
            settings[key.partition(".")[2]] = str(ast.literal_eval(value))
        if "cert" in settings:
            shutil.copy(settings["cert"], self._pip / "cert")
            settings["cert"] = f"{_PIP_FOLDER}/cert"
        lines = [f"{key} = {settings[key]}" for key in _PIP if key in settings]
        (self._pip / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
        return self._pip


def _mirror() -> list[str]:
    """The one that apt takes bookworm from; without one, debootstrap knows where Debian is."""
    line = "$(ORIGIN) $(RELEASE) $(REPO_URI)"
    words = ["apt-get", "indextargets", "--format", line, "Created-By: Packages"]
    found = [text.split(" ") for text in _run(words, False, _MINUTES).stdout.splitlines()]
    return [mirror for *names, mirror in found if names == ["Debian", "bookworm"]][:1]


def _run(words: list[str], is_checked: bool, seconds: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
    if is_checked and done.returncode:
        pytest.fail(f"{words[0]} {done.returncode}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done
