"""A file system that holds one virtual environment, its interpreter and the libraries they load.

    python rootfs.py ROOT VENV

Everything lies in ROOT where it lies here, so the environment's paths stay right. Standard library
only, and Debian's `ldd` and `ldconfig`: it runs while an image is built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

USER = 65532
HOME = Path("/var/lib/graygate")
_ELF = b"\x7fELF"
# Parts of the standard library that no server imports, and what belongs to other programs.
_LEFT_OUT = (
    *("__pycache__", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"),
    *("site-packages", "config-*", "_tkinter*", "_test*", "_ctypes_test*"),
)
# Where names are looked up, which authorities are believed, and when it is what time where.
_SYSTEM = (
    *("/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/usr/lib/ssl"),
    # What the links in /etc/ssl/certs lead to.
    *("/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
    "/usr/share/zoneinfo",
)


def main(root: Path, environment: Path) -> None:
    if root.exists():
        sys.exit(f"{root} is there already; name a folder that is not")
    _copy_tree(environment, root)
    _copy_interpreter(root, environment)
    for path in map(Path, _SYSTEM):
        if path.exists():
            _copy_tree(path, root)
    for library in sorted(libraries(_programs(root))):
        target = _inside(root, library)
        # Wheels bring libraries of their own, which were copied with them.
        if not library.is_relative_to(root) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library.resolve(), target)
    _write_users(root)
    _write_library_cache(root)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def libraries(programs: Iterable[Path]) -> set[Path]:
    """What the dynamic loader brings in for these programs, the loader itself included."""
    found = set()
    for program in programs:
        done = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
        found |= {Path(path) for path in re.findall(r"(/\S+) \(0x", done.stdout)}
    return found


def _copy_interpreter(root: Path, environment: Path) -> None:
    """The program that the environment's `python` leads to, with every link on the way there."""
    path = environment / "bin" / "python"
    while path.is_symlink():
        path = Path(os.path.normpath(path.parent / path.readlink()))
        target = _inside(root, path)
        if not target.is_symlink():  # those of the environment are there
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
    _copy_tree(Path(sysconfig.get_path("stdlib")), root)


def _copy_tree(path: Path, root: Path) -> None:
    target = _inside(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        # A virtual environment needs its own site-packages.
        is_standard_library = path == Path(sysconfig.get_path("stdlib"))
        left_out = shutil.ignore_patterns(*(_LEFT_OUT if is_standard_library else ["__pycache__"]))
        shutil.copytree(path, target, symlinks=True, ignore=left_out)
    else:
        shutil.copy2(path, target)


def _programs(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(4) == _ELF:
                        yield path


def _write_users(root: Path) -> None:
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text(
        f"root:x:0:0::/:/nologin\ngraygate:x:{USER}:{USER}::{HOME}:/nologin\n"
    )
    (etc / "group").write_text(f"root:x:0:\ngraygate:x:{USER}:\n")
    home = _inside(root, HOME)
    home.mkdir(parents=True, mode=0o700)
    os.chown(home, USER, USER)


def _write_library_cache(root: Path) -> None:
    """Tells the loader of libraries that lie where it would not look, as under /usr/local/lib."""
    folders = {
        f"/{path.parent.relative_to(root)}\n"
        for path in root.rglob("*.so*")
        if path.is_file() and ".so" in path.suffixes
    }
    searched = sorted(folder for folder in folders if "site-packages" not in folder)
    (root / "etc" / "ld.so.conf").write_text("".join(searched))
    subprocess.run(["ldconfig", "-r", str(root)], check=True)


def _inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
