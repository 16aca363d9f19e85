from __future__ import annotations

import json
from collections import Counter
from itertools import islice

import pytest

from loadtests.cases import BIG, all_cases

FIXED = {b"POST /v1/chat/completions HTTP/1.1", b"Host", b"Connection", b"Content-Type"}


def parts(request: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def some(case: str, count: int = 50) -> list[bytes]:
    return list(islice(all_cases()[case].requests(), count))


def repeated(case: str) -> set[bytes]:
    """Names of the fields of which some line came twice in many requests."""
    lines = Counter(line for request in some(case) for line in parts(request)[0])
    return {line.partition(b":")[0] for line, times in lines.items() if times > 1}


@pytest.mark.parametrize("case", ["post", "fresh", "attack", "mixed"])
def test_a_post_has_20_headers_and_about_1_kb_of_json(case: str) -> None:
    for request in some(case):
        lines, body = parts(request)
        assert len(lines) - 1 == 20
        assert len(body) == 1024
        assert b"Content-Length: 1024" in lines
        assert json.loads(body)["model"] == "chat"


def test_a_get_has_two_headers_and_its_users_take_turns() -> None:
    lines = [parts(request)[0] for request in some("get")]
    assert {len(of_one) - 1 for of_one in lines} == {2}
    assert len({of_one[2] for of_one in lines}) == 50


def test_fresh_lines_never_repeat_but_where_the_request_would_not_be_understood() -> None:
    assert repeated("fresh") == {*FIXED, b"Content-Length"}


def test_the_names_of_an_attack_never_repeat_either() -> None:
    assert repeated("attack") == {*FIXED, b"Content-Length"}
    names = Counter(line.partition(b":")[0] for one in some("attack") for line in parts(one)[0])
    known = {*FIXED, b"Content-Length", b"X-User-Id", b"Authorization"}
    assert {name for name, times in names.items() if times > 1} == known


def test_every_second_request_of_the_mixed_case_is_hostile() -> None:
    assert some("mixed")[::2] == some("post", 25)
    assert some("mixed")[1::2] == some("attack", 25)


def test_an_upload_is_64_kib_long() -> None:
    assert {len(parts(request)[1]) for request in some("upload")} == {BIG}


def test_streams_ask_for_more_events_than_anybody_waits_for() -> None:
    for case, pause in (("sse100", 50), ("sse1000", 200)):
        asked = json.loads(parts(some(case)[0])[1])
        assert (asked["stream"], asked["seed"]) == (True, pause)
        assert asked["max_tokens"] >= 1_000_000
