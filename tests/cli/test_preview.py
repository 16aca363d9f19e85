from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import ids
from tests.cli.live import Live


def test_it_tells_how_many_would_move_and_where_to(up: Live) -> None:
    told = json.loads(up.out("preview", "chat", "v2=60", "--sample", "1000", "--json"))
    (move,) = told["moves"]
    assert (move["from"], move["to"], told["units"]) == ("v1", "v2", 1000)
    lines = up.out("preview", "chat", "v2=60", "--sample", "1000").splitlines()
    assert lines[0] == f"{move['units']} of 1000 units would move."
    assert lines[2].split() == ["FROM", "TO", "UNITS"]
    assert lines[3].split() == ["v1", "v2", str(move["units"])]
    assert lines[5].split() == ["VERSION", "BEFORE", "AFTER"]
    held = up.held()
    assert held is not None
    assert held.spec.weights == {"v2": 10}


def test_nobody_moves_when_nothing_changes(up: Live) -> None:
    assert up.out("preview", "chat", "v2=10").splitlines()[0] == "0 of 10000 units would move."


def test_units_come_from_a_file_in_portions_that_add_up(
    up: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "units"
    file.write_text("".join(f"user-{number}\n" for number in range(500)))
    whole = json.loads(up.out("preview", "chat", "v2=50", "--units", str(file), "--json"))
    monkeypatch.setattr(ids, "MOST_IN_A_PORTION", 123)
    parts = json.loads(up.out("preview", "chat", "v2=50", "--units", str(file), "--json"))
    assert parts == whole
    assert whole["units"] == 500


def test_units_come_from_standard_input(up: Live) -> None:
    done = up.run("preview", "chat", "v2=100", "--units", "-", stdin="a\nb\n")
    assert done.stdout.splitlines()[0].endswith(" of 2 units would move.")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["v2=1", "--units", "-", "--sample", "3"], 2, "--units and --sample exclude each other"),
        (["v2=1", "--units", "nowhere"], 2, "nowhere cannot be read: No such file or directory."),
        (["v2=1", "--units", "-"], 2, "standard input holds no id; it takes one a line."),
        (["v2=1", "--sample", "0"], 2, "Invalid value for '--sample'"),
        (["v2"], 2, "'v2' is no weight"),
        ([], 2, "Missing argument 'VERSION=PERCENT...'."),
        (["v9=1"], 1, "'v9' is no version of route chat."),
        (["v2=60", "v3=60"], 1, "The weights add up to 120 percent"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("preview", "chat", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")
