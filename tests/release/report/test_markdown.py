from __future__ import annotations

import re

import msgspec

from gateway.release.report.markdown import plain, render
from gateway.release.report.tables import tables
from tests.release.report.reports import NASTY, report


def test_the_report_begins_with_what_came_of_it() -> None:
    lines = render(report()).splitlines()
    assert lines[0] == "# Release of v2 on chat"
    assert lines[2] == "**The release was aborted; the weights of before are back.**"
    assert "## Decisions" in lines


def test_text_of_people_is_only_text() -> None:
    text = plain(NASTY.replace("\ud800", ""))
    assert re.search(r"(?<!\\)[<>|`\[\]()&]", text) is None
    assert "\n" not in text


def test_no_cell_breaks_its_table() -> None:
    made = msgspec.structs.replace(report(), goal=NASTY, owner="a|b\nc", outcome="x\n# y")
    lines = [line for line in render(made).splitlines() if line.startswith("|")]
    wanted = [len(table.columns) for table in tables(made) for _ in range(len(table.rows) + 2)]
    assert [len(re.split(r"(?<!\\)\|", line)) - 2 for line in lines] == wanted
    assert "\n# y" not in render(made)
