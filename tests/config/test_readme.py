from __future__ import annotations

from pathlib import Path

from gateway.config.describe import render_table

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- settings: begin -->\n"
END = "<!-- settings: end -->"


def test_the_readme_shows_the_settings_as_they_are() -> None:
    text = README.read_text()
    assert text.count(BEGIN) == 1
    assert text.count(END) == 1
    shown = text.partition(BEGIN)[2].partition(END)[0]
    assert shown == render_table(), "put render_table() between the two settings marks of README.md"
