from __future__ import annotations

import pytest

from gateway.http1.framing import Framing, body_of
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.response import parse_response

LENGTH = b"\r\nContent-Length: 5"
CHUNKED = b"\r\nTransfer-Encoding: chunked"


def framing(status: int, fields: bytes, method: str = "GET") -> Framing:
    head = parse_response(b"HTTP/1.1 %d X%b" % (status, fields), LineMemo(), Limits())
    return body_of(head, method)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "head", "M-SEARCH"])
@pytest.mark.parametrize("status", [200, 206, 301, 404, 500, 599])
def test_a_body_ends_where_the_head_says(status: int, method: str) -> None:
    assert framing(status, LENGTH, method) is Framing.LENGTH
    assert framing(status, CHUNKED, method) is Framing.CHUNKED
    assert framing(status, b"", method) is Framing.UNTIL_CLOSE
    assert framing(status, b"\r\nContent-Length: 0", method) is Framing.NONE


@pytest.mark.parametrize("fields", [LENGTH, CHUNKED, b""])
@pytest.mark.parametrize("status", [100, 103, 199, 204, 304])
def test_P17_some_answers_have_no_body_whatever_they_say(status: int, fields: bytes) -> None:
    assert framing(status, fields) is Framing.NONE


@pytest.mark.parametrize("fields", [LENGTH, CHUNKED, b""])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_P17_an_answer_to_head_has_no_body(status: int, fields: bytes) -> None:
    assert framing(status, fields, "HEAD") is Framing.NONE
