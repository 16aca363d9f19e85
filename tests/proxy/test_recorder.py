"""The fields of a record are a public interface, and the README is where they are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.settings import AccessLog
from gateway.errors import DownstreamError
from gateway.proxy.record import Record
from gateway.proxy.recorder import Recorder, unit_parameters

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_tells_of_every_field_in_its_order() -> None:
    text = README.read_text().partition("<!-- access log: begin -->")[2]
    table = text.partition("<!-- access log: end -->")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.M)) == Record.__struct_fields__


def test_the_parameters_of_a_unit_are_those_of_the_query() -> None:
    assert unit_parameters(("header:x", "query:uid", "cookie:c", "query:sid", "ip")) == {
        "uid",
        "sid",
    }


@pytest.mark.parametrize(("status", "level"), [(400, "warning"), (503, "error")])
def test_what_was_refused_unread_is_told_as_far_as_it_is_known(status: int, level: str) -> None:
    recorder = Recorder(AccessLog(client_ip=False))
    record = recorder.refusal(DownstreamError(status, "code", "text"), "id", "192.0.2.1", 0.0)
    assert (record.level, record.status, record.error) == (level, status, "code")
    assert record.client_ip == ""


def test_pseudonyms_are_remembered_but_not_for_ever() -> None:
    recorder = Recorder(AccessLog())
    first = recorder.shown_unit(b"user-0")
    for number in range(20_000):
        recorder.shown_unit(b"user-%d" % number)
    assert int(re.findall(r"remembers (\d+) units", repr(recorder))[0]) <= 8192
    assert recorder.shown_unit(b"user-0") == first
