from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.toml_file import read_file

Write = Callable[[str], Path]


def refusals(path: Path) -> list[str]:
    return [str(problem) for problem in read_file(path).problems]


def test_values_are_taken_with_the_file_as_origin(toml: Write) -> None:
    layer = read_file(toml("[listen]\nport = 90\n[process]\nworkers = 2\n"))
    assert not layer.problems
    assert {key: given.value for key, given in layer.given.items()} == {
        "listen.port": 90,
        "process.workers": 2,
    }
    assert layer.given["listen.port"].origin == "file g.toml"


def test_an_empty_file_and_one_with_a_byte_order_mark_are_fine(empty_folder: Path) -> None:
    Path("a.toml").write_bytes(b"")
    Path("b.toml").write_bytes(b"\xef\xbb\xbf[listen]\r\nport = 90\r\n")
    assert not read_file(Path("a.toml")).problems
    assert read_file(Path("b.toml")).given["listen.port"].value == 90


def test_unknown_names_are_refused_with_a_suggestion(toml: Write) -> None:
    path = toml("workers = 2\nflavour = 1\n[listn]\nport = 1\n[listen]\nprot = 1\n")
    assert refusals(path) == [
        "g.toml workers: is not a setting; did you mean workers under [process]?",
        "g.toml flavour: is not a setting",
        "g.toml listn: is not a section; did you mean [listen]?",
        "g.toml listen.prot: is not a setting; did you mean listen.port?",
    ]


def test_a_section_must_be_a_table(toml: Write) -> None:
    assert refusals(toml('redis = "redis://:hunter2@h"\nlisten = [1]\nlog = 5\n')) == [
        "g.toml redis: must be a table that starts with [redis], not that text",
        "g.toml listen: must be a table that starts with [listen], not that list",
        "g.toml log: must be a table that starts with [log], not 5",
    ]


def test_a_name_with_a_line_break_stays_on_one_line(toml: Write) -> None:
    path = toml('"a\\nb" = 1\n[log]\n"c\\nd" = 1\n')
    assert refusals(path) == [
        'g.toml "a\\nb": is not a setting',
        'g.toml log."c\\nd": is not a setting',
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[listen]\nport = = 1\n", "g.toml line 2: is not valid TOML: Invalid value (column 8)"),
        ("[listen\nport = 1\n", "g.toml line 1: is not valid TOML: Expected ']'"),
        ("[log]\nlevel = 'info\n", "g.toml line 2: is not valid TOML: "),
        ("[log]\n\nlevel = ", "g.toml line 3: is not valid TOML: Invalid value"),
        ("[log]\nlevel = 'a'\nlevel = 'b'\n", "g.toml line 3: is not valid TOML: Cannot overwrite"),
        ("x = " + "[" * 5000, "g.toml: is not valid TOML: a value is too large or nested"),
        ("x = " + "9" * 5000, "g.toml: is not valid TOML: a value is too large or nested"),
    ],
)
def test_a_syntax_error_is_told_with_its_line(toml: Write, text: str, told: str) -> None:
    (refusal,) = refusals(toml(text))
    assert refusal.startswith(told)


def test_a_syntax_error_does_not_repeat_the_line(toml: Write) -> None:
    (refusal,) = refusals(toml("[redis]\npassword = hunter2\n"))
    assert "hunter2" not in refusal


def test_a_file_that_is_no_text_is_refused_with_its_line(empty_folder: Path) -> None:
    Path("g.toml").write_bytes(b"[log]\nlevel = '\xff'\n")
    assert refusals(Path("g.toml")) == ["g.toml line 2: is not valid UTF-8"]


def test_a_file_that_cannot_be_read_is_refused(empty_folder: Path) -> None:
    assert refusals(Path("no.toml")) == ["no.toml: there is no such settings file"]
    assert refusals(empty_folder) == [
        f"{empty_folder}: the settings file cannot be read: Is a directory"
    ]
    assert refusals(Path("a\0b")) == ["a\0b: the settings file cannot be read: it is not a path"]


def test_a_file_without_the_right_to_read_is_refused() -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from gateway.config.load import load\n"
        "from gateway.errors import SettingsError\n"
        "path = Path('g.toml')\n"
        "path.write_text('')\n"
        "path.chmod(0)\n"
        "if os.geteuid() == 0:\n"  # who may read everything
        "    os.setresuid(65534, 65534, 65534)\n"
        "try:\n"
        "    load(path, {}, {})\n"
        "except SettingsError as error:\n"
        "    print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=30
        )
    assert done.stdout == "g.toml: the settings file cannot be read: Permission denied\n"
