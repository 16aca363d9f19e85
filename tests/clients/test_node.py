"""Node's fetch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.openai_api import WORDS
from tests.clients.programs import SECONDS, node, node_running
from tests.clients.ways import Way, Ways, alike, fields, gone_after

pytestmark = pytest.mark.debian


def lines(said: bytes) -> list[Any]:
    return [json.loads(line) for line in said.splitlines()]


def test_answers_of_all_kinds_are_the_same(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found = lines(node("answers", way.url))
        for one in found:
            if isinstance(one, dict) and "headers" in one:
                one["headers"] = fields(map(tuple, one["headers"]))
        return found

    assert len(alike(ways, use)) == 14


def test_each_event_arrives_before_the_next_is_sent(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        header, stream = way.open_stream()
        found: list[object] = []
        with node_running("stream", way.url, header["X-Stream"]) as process:
            assert process.stdout is not None
            for line in iter(process.stdout.readline, b""):
                found.append(json.loads(line))
                stream.confirm()
            assert process.wait(SECONDS) == 0
        return found

    reads = alike(ways, use)
    assert len(reads) == 1 + len(WORDS) + 2
    assert reads[-1] == "data: [DONE]\n\n"


def test_aborting_a_stream_stops_the_model(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        header, stream = way.open_stream()
        found = lines(node("abort", way.url, header["X-Stream"]))
        assert gone_after(stream), "the model works on for a client that has left"
        return found

    assert alike(ways, use) == ["AbortError", 200]


def test_each_piece_of_an_upload_reaches_the_model_before_the_next_is_made(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        header, stream = way.open_stream()
        with node_running("upload", way.url, header["X-Stream"]) as process:
            assert process.stdin is not None
            for _ in range(4):
                stream.wait_arrived()
                process.stdin.write(b"next\n")
            said, _ = process.communicate(timeout=SECONDS)
            assert process.returncode == 0
        return lines(said)

    [about] = alike(ways, use)
    assert isinstance(about, dict)
    assert about["bytes"] == 8000


def test_twenty_requests_one_after_the_other_share_connections(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with way.relay() as relay:
            found = lines(node("sequence", relay.url))
            # It opens a second one when it has not yet noticed that the first is free again.
            assert relay.connections <= 2, f"{way.name}: {relay.connections} connections"
        return found

    assert len(alike(ways, use)) == 20
