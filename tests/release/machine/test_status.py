from __future__ import annotations

import msgspec
import pytest

from gateway.release.machine.status import decode, encode
from tests.release.machine.story import Story, evidence, family


def test_a_status_comes_back_whole() -> None:
    story = Story()
    story.run(300)
    assert decode(encode(story.status)) == story.status


def test_what_is_stored_stays_small_however_much_is_decided() -> None:
    numbers = {"e": 1.23456, "estimate": 0.98765, "low": 0.12345, "high": 3.45678}
    counts = {"candidate_n": 123456, "candidate_bad": 12, "stable_n": 123456, "stable_bad": 99}
    names = ("errors", "latency", "client-errors")
    story = Story()
    story.tick()
    for number in range(300):
        said = evidence(*(family(name, **numbers, **counts) for name in names))
        story.say("resume" if number % 2 else "pause", said)
    assert len(story.status.decisions) == 200
    assert len(encode(story.status)) < 200_000


def test_what_is_no_status_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b"{}")


def test_a_status_of_a_newer_gateway_is_read_without_what_it_has_more() -> None:
    text = encode(Story().status).replace(b'{"release_id"', b'{"invented_later":1,"release_id"')
    assert decode(text) == Story().status
