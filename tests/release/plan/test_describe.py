from __future__ import annotations

import tomllib

from gateway.release.plan.describe import render_table, rows
from gateway.release.plan.duration import seconds_of


def test_every_field_says_what_it_takes_and_what_it_means() -> None:
    assert all(row.takes and row.help for row in rows())
    assert len({row.key for row in rows()}) == len(rows()) > 60


def test_defaults_stand_as_they_are_written_in_the_file() -> None:
    defaults = {row.key: row.default for row in rows()}
    for row in rows():
        if row.default:
            tomllib.loads(f"x = {row.default}")
    assert seconds_of(tomllib.loads(f"x = {defaults['stages[].hold']}")["x"]) == 120
    assert defaults["expires"] == '"7d"'
    assert defaults["route"] == ""
    assert defaults["windows[].days"] == '["mon", "tue", "wed", "thu", "fri"]'


def test_the_table_has_a_line_for_each() -> None:
    lines = render_table().splitlines()
    assert len(lines) == len(rows()) + 2
    assert all(line.count(" | ") == 3 for line in lines[2:])
