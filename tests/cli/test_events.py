from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from gateway.admin.events import EVENTS
from gateway.cli.events import Told, read_events, sentence
from gateway.errors import GraygateError
from tests.cli.live import Live
from tests.cli.test_start import environment
from tests.servers import Server, wait_until


class Listening:
    """`graygate events` in a process of its own, and what it has printed."""

    def __init__(self, up: Live, *arguments: str) -> None:
        log = up.side.admin._app[EVENTS]
        wait_until(lambda: log.newest > 0, "the gateway has looked around")
        before = len(log)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "events", *arguments],
            env=environment(GRAYGATE_GATEWAY=up.url, PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        wait_until(lambda: len(log) > before, "it listens")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, text: str) -> str:
        def found() -> str:
            return next((line for line in self.lines if text in line), "")

        wait_until(lambda: bool(found()), f"{text} is printed")
        return found()

    def end(self) -> int:
        self._process.send_signal(2)
        code = self._process.wait(20)
        self._reading.join(20)
        assert self._process.stderr is not None
        self.error = self._process.stderr.read()
        self._process.stderr.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


def test_what_happens_is_printed_until_ctrl_c(up: Live, store: Server) -> None:
    listening = Listening(up)
    up.out("weights", "set", "chat", "v2=20", "--why", "looks good")
    line = listening.wait("route_changed")
    assert line.endswith("route_changed  chat  revision 2 by alice (cli): looks good")
    store.cli("HSET gray:route:chat:weights v2 many")
    assert "gray:route:chat:weights: the weight of v2" in listening.wait("refused")
    assert (listening.end(), listening.error.strip()) == (130, "")


def test_each_event_is_an_object_on_a_line_with_json(up: Live) -> None:
    listening = Listening(up, "--json", "--route", "chat")
    up.out("weights", "set", "chat", "v2=20")
    told = json.loads(listening.wait("route_changed"))
    assert (told["event"], told["route"], told["revision"]) == ("route_changed", "chat", 2)
    assert listening.end() == 130
    # With its id one gets what came after it, and no more.
    up.out("weights", "set", "chat", "v2=21")
    wait_until(lambda: len(_since(up, told["id"])) == 1, "the next one is told")
    assert _since(up, told["id"])[0]["revision"] == 3


def _since(up: Live, event_id: str) -> list[Any]:
    told = up.out("events", "--once", "--json", "--since", event_id)
    events = [json.loads(line) for line in told.splitlines()]
    return [event for event in events if event["event"] == "route_changed"]


def test_it_listens_again_when_the_gateway_ended_the_stream(up: Live) -> None:
    listening = Listening(up)
    log = up.side.admin._app[EVENTS]
    (listener,) = log._listeners
    listener.is_lost = True
    listener.put(next(iter(log._kept)))
    listening.wait("dropped")
    wait_until(lambda: len(log) == 1 and listener not in log._listeners, "it is there again")
    up.out("weights", "set", "chat", "v2=20")
    listening.wait("revision 2")
    listening.end()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["events", "--route", "ghost"], 1, "There is no route 'ghost' in force;"),
        (["events", "chat"], 2, "Got unexpected extra argument (chat)"),
        (["events", "--gateway", "http://127.0.0.1:1"], 3, "No gateway answers at"),
    ],
)
def test_wrong_use_is_one_sentence(up: Live, arguments: list[str], code: int, told: str) -> None:
    done = up.run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"graygate: {told}")


def test_a_stream_is_taken_apart() -> None:
    lines = [b": alive\n", b"\n", b"id: 1-a-1\n", b"event: alarm\n", b'data: {"n":1}\n', b"\n"]
    assert list(read_events(lines)) == [Told("alarm", {"n": 1}, "1-a-1")]
    with pytest.raises(GraygateError, match="events that this command does not know"):
        list(read_events([b"data: nonsense\n"]))


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (Told("alarm", {"alarm": "overload", "about": "lag", "text": "oh"}), "overload lag: oh"),
        (Told("draining", {}), "draining"),
        (Told("route_changed", {"revision": 4}), "route_changed  revision 4"),
        (Told("instance_left", {"instance": "a\x1b[2J"}), r"instance_left  a\x1b[2J"),
        (
            Told("endpoint_down", {"route": "chat", "version": "v1", "endpoint": "http://a"}),
            "endpoint_down  chat  v1 http://a",
        ),
    ],
)
def test_an_event_is_one_line(told: Told, text: str) -> None:
    assert text in sentence(told).replace("\x1b[31m", "").replace("\x1b[33m", "").replace(
        "\x1b[0m", ""
    )
