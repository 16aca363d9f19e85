"""`graygate segment` against a running gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import ids
from tests.cli.live import Live
from tests.servers import Server

RULE = '{"when": {"segment": "staff"}, "version": "v2"}'


def test_units_come_and_go_and_are_listed(up: Live, store: Server) -> None:
    assert up.out("segment", "list") == "There is no segment yet.\n"
    assert up.out("segment", "add", "staff", "alice", "bob", "--why", "us") == (
        "staff: 2 ids in; revision 1.\n"
    )
    assert up.out("segment", "add", "staff", "bob") == "staff: 1 id in as before; revision 1.\n"
    assert up.out("segment", "remove", "staff", "bob") == "staff: 1 id out; revision 2.\n"
    assert up.out("segment", "show", "staff") == "alice\n"
    up.out("rules", "add", "chat", RULE)
    up.wait_revision(2)
    assert up.out("segment", "list") == "SEGMENT  IDS  USED BY\nstaff    1    chat\n"
    rows = json.loads(up.out("segment", "history", "staff", "--json"))
    assert [(row["lists"], row["why"], row["via"]) for row in rows] == [
        ("segment/staff +0 -1", "", "cli"), ("segment/staff +2 -0", "us", "cli"),
    ]  # fmt: skip
    assert "+2 -0" in up.out("segment", "history", "staff")


def test_a_file_goes_in_portions_and_the_way_back_is_exact(
    up: Live, store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "MOST_IN_A_PORTION", 40)
    file = tmp_path / "ids"
    file.write_text("".join(f"user-{number:03}\n" for number in range(100)))
    assert up.out("segment", "import", "staff", str(file)) == "staff: 100 ids in; revision 3.\n"
    assert up.out("segment", "show", "staff") == file.read_text()
    assert up.out("segment", "delete", "staff", "--yes") == "staff: deleted; revision 4.\n"
    assert store.cli("EXISTS gray:segment:staff") == 0
    assert "deleted, +0 -100" in up.out("segment", "history", "staff")
    out = up.out("segment", "rollback", "staff", "--to", "3", "--yes")
    assert out == "staff: as at revision 3; revision 5.\n"
    assert up.out("segment", "show", "staff") == file.read_text()


def test_a_segment_that_a_rule_asks_for_is_not_deleted(up: Live, store: Server) -> None:
    up.out("segment", "add", "staff", "alice")
    up.out("rules", "add", "chat", RULE)
    up.wait_revision(2)
    done = up.run("segment", "delete", "staff", "--yes")
    assert (done.exit_code, done.stderr) == (
        1, "graygate: The segment staff is in use: rules of chat ask for it.\n",
    )  # fmt: skip
    assert store.cli("SCARD gray:segment:staff") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["add", "staff"], 2, "Missing argument 'ID...'."),
        (["add", "staff", ""], 2, "an id is empty"),
        (["add", "s t", "alice"], 1, "'s t' is no segment name: use 1 to 64"),
        (["add", "staff", "x" * 300], 1, "an id has 300 bytes; 1 to 256 are allowed"),
        (["add", "staff", "alice", "--revision", "3"], 4, "Segment staff stands at revision 0"),
        (["import", "staff", "nowhere"], 2, "nowhere cannot be read: No such"),
        (["delete", "staff"], 2, "there is nobody to ask here; say --yes if you mean it"),
        (["delete", "staff", "--yes"], 1, "There is no segment 'staff', or nobody is in it."),
        (["rollback", "staff", "--to", "1", "--yes"], 1, "staff has no revision 1 in its history"),
        (["show", "s t"], 1, "'s t' is no segment name: use 1 to 64"),
        (["remove", "staff"], 2, "Missing argument 'ID...'."),
        (["show", "staff"], 1, "There is no segment staff."),
        (["history", "staff"], 1, "There is no segment staff."),
        (["add", "staff", "a\nb"], 1, "the id 'a\\nb' holds a line end"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run("segment", *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert done.stderr.startswith(f"graygate: {told}")


def test_a_segment_that_was_emptied_is_still_one(up: Live) -> None:
    up.out("segment", "add", "staff", "alice")
    up.out("segment", "remove", "staff", "alice")
    assert up.run("segment", "show", "staff").stderr == "Nobody is in staff.\n"
    assert len(up.out("segment", "history", "staff").splitlines()) == 3
