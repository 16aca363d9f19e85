from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from gateway.release.report.model import build
from gateway.release.report.page import render
from tests.release.machine.story import START
from tests.release.report.reports import NASTY, lived, report

VOID = ("meta", "!doctype")
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "thead",
    "tbody", "tr", "th", "td", "footer", "svg", "path", "line", "circle", "text",
}  # fmt: skip


class Reader(HTMLParser):
    """The tags of a page, and whether they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_page_is_whole_and_has_nothing_but_what_it_needs() -> None:
    reader = read(render(report()))
    assert reader.open == []
    assert reader.tags == ALLOWED


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render(report())
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<img|\bon\w+=", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("name", ["goal", "owner", "candidate", "route", "outcome", "started_by"])
def test_text_of_people_is_only_text(name: str) -> None:
    made = msgspec.structs.replace(report(), **{name: NASTY})
    page = render(made)
    assert "<script" not in page
    assert "&lt;script&gt;alert(&quot;1&quot;)" in page
    assert read(page).tags == ALLOWED
    assert page.encode()


def test_decisions_of_people_are_only_text_in_the_picture_too() -> None:
    story = lived()
    last = msgspec.structs.replace(story.status.decisions[-1], text=NASTY, kind=NASTY, by=NASTY)
    status = msgspec.structs.replace(story.status, decisions=(last,))
    page = render(build(status, now=story.now))
    assert "<script" not in page
    assert read(page).tags <= ALLOWED


def test_without_intervals_there_is_no_plot_of_them() -> None:
    assert "Candidate over stable" not in render(build(lived().status, now=START))
    assert "Candidate over stable" in render(report())
