"""One JSON line for each request: what it says, what it hides, and which requests have one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.secret import Secret
from gateway.config.settings import AccessLog as AccessLogSettings
from gateway.proxy import access_log as access_log_module
from gateway.proxy.access_log import AccessLog
from gateway.proxy.line_writer import LineWriter
from gateway.proxy.recorder import Recorder
from gateway.routing.spec import VersionSpec
from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.scripts import EVENTS, cut, echo, silent
from tests.proxy.side import GET, Side, closed_port

KEY = "pseudonym key"
CANARY = "canary-5ecret"
NASTY = 'a\r\n{"level":"fake"}\x1b[2J\u202e\u2028"\\'


class Logged:
    """A side whose access log is a file."""

    def __init__(self, side: Side, path: Path) -> None:
        self.side = side
        self._path = path

    async def lines(self) -> list[dict[str, Any]]:
        """All lines, once the plane has ended; each must be a JSON object on its own."""
        await self.side.stop()
        raw = self._path.read_bytes() if self._path.exists() else b""
        assert raw == b"" or raw.endswith(b"\n")
        assert all(len(line) < 4096 for line in raw.split(b"\n"))
        assert all(char.isprintable() for char in raw.decode() if char != "\n")
        return [json.loads(line) for line in raw.decode().split("\n")[:-1]]

    async def line(self) -> dict[str, Any]:
        (line,) = await self.lines()
        return line


class Begin:
    """Starts a side: `await begin(sample=0.5)`."""

    def __init__(self, start: Start, path: Path) -> None:
        self._start = start
        self._path = path

    async def __call__(self, **settings: object) -> Logged:
        given = {"path": str(self._path), "units_key": Secret(KEY), **settings}
        return Logged(await self._start(access_log=given), self._path)


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Begin:
    return Begin(start, tmp_path / "access.log")


def pseudonym(unit: bytes) -> str:
    """As the README says."""
    key = hashlib.blake2b(KEY.encode(), digest_size=32).digest()
    return hashlib.blake2b(unit, digest_size=8, key=key).hexdigest()


async def test_a_line_says_what_was_asked_decided_and_answered(begin: Begin) -> None:
    logged = await begin()
    logged.side.use(logged.side.spec(unit=("header:x-user-id",)), v2=frozenset({b"alice"}))
    answer = await logged.side.ask(
        "/v1/chat?limit=5", b"hello", "POST", X_User_Id="alice", X_Request_Id="r-1"
    )
    assert answer.status == 200
    line = await logged.line()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert 0 < line.pop("ttfb_ms") <= line.pop("dur_ms") < 10_000
    assert line == {
        "level": "info",
        "route": "chat",
        "version": "v2",
        "reason": "whitelist",
        "method": "POST",
        "path": "/v1/chat?limit=5",
        "status": 200,
        "upstream": logged.side.model.url,
        "bytes_in": 5,
        "bytes_out": 2,
        "request_id": "r-1",
        "unit": pseudonym(b"alice"),
        "client_ip": "127.0.0.1",
    }


async def test_without_an_access_log_nothing_is_built(start: Start) -> None:
    side = await start(access_log={"path": ""})
    assert (await side.ask()).status == 200
    assert side.plane.access_log is None
    assert side.plane.dropped == {}


async def test_a_request_without_body_and_unit_has_no_such_fields(begin: Begin) -> None:
    logged = await begin()
    await logged.side.ask()
    line = await logged.line()
    assert not {"bytes_in", "unit", "trace_id", "error", "retries"} & set(line)
    assert len(line["request_id"]) == 32


@pytest.mark.parametrize(("units", "shown"), [("plain", "alice"), ("none", None)])
async def test_units_are_shown_as_the_settings_say(
    begin: Begin, units: str, shown: str | None
) -> None:
    logged = await begin(units=units, client_ip=False)
    logged.side.use(logged.side.spec(unit=("header:x-user-id",)))
    await logged.side.ask(X_User_Id="alice")
    line = await logged.line()
    assert line.get("unit") == shown
    assert "client_ip" not in line


async def test_pseudonyms_differ_with_the_key_and_stay_with_it() -> None:
    def shown(key: str) -> str:
        return Recorder(AccessLogSettings(units_key=Secret(key))).shown_unit(b"alice")

    assert shown("one") == shown("one") != shown("two")
    assert shown("") != shown("")  # drawn anew
    assert "alice" not in shown("one")


async def test_A14_an_id_in_the_query_is_hidden_as_the_unit_is(begin: Begin) -> None:
    logged = await begin()
    logged.side.use(logged.side.spec(unit=("query:who",)))
    await logged.side.ask("/?who=alice&a=b")
    line = await logged.line()
    assert line["path"] == "/?who=***&a=b"
    assert line["unit"] == pseudonym(b"alice")


async def test_A14_secrets_of_a_request_are_not_in_its_line(begin: Begin) -> None:
    logged = await begin(units="plain")
    await logged.side.ask(
        f"/v1?key={CANARY}&api_key={CANARY}&%74oken={CANARY}&X-Amz-Signature={CANARY}&a=1",
        CANARY.encode(),
        "POST",
        Authorization=f"Bearer {CANARY}",
        Cookie=f"s={CANARY}",
        X_Api_Key=CANARY,
        api_key=CANARY,
    )
    line = await logged.line()
    assert CANARY not in json.dumps(line)
    assert line["path"].endswith("&a=1")


@pytest.mark.parametrize("unit", [NASTY.encode(), b"\xff\xfe\x00", b'"' * 256, "模型".encode()])
def test_A13_a_plain_unit_can_hold_anything_and_stays_on_its_line(unit: bytes) -> None:
    shown = Recorder(AccessLogSettings(units="plain")).shown_unit(unit)
    assert shown.isprintable()
    assert len(shown) <= 128
    line = msgspec.json.encode(shown).decode()
    assert len(line.splitlines()) == 1


async def test_A13_a_unit_that_would_be_a_line_of_its_own_is_text(begin: Begin) -> None:
    logged = await begin(units="plain")
    logged.side.use(logged.side.spec(unit=("query:u",)))
    await logged.side.ask("/?u=a%0d%0a%7b%22level%22%3a%22fake%22%7d%1b%5b2J%e2%80%ae")
    line = await logged.line()
    assert line["level"] == "info"
    assert line["unit"] == '\\r\\n{"level":"fake"}\\x1b[2J\\u202e'.join(["a", ""])


@pytest.mark.parametrize("target", ["/" + "x" * 7000, "/" + '"\\' * 3500, "/?a=" + "y" * 7000])
async def test_A13_a_long_target_is_cut(begin: Begin, target: str) -> None:
    logged = await begin()
    await logged.side.ask(target)
    line = await logged.line()
    assert line["path"].endswith("...") and target.startswith(line["path"][:-3])
    assert len(line["path"]) == 1027
    assert line["status"] == 200


async def test_A13_a_long_method_is_cut(begin: Begin) -> None:
    logged = await begin()
    await logged.side.once(b"A" * 5000 + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (await logged.line())["method"] == "A" * 32


@pytest.mark.parametrize(
    ("request_bytes", "status", "error"),
    [
        (b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_path"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \x1b\r\n\r\n", 400, "bad_header"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "line_too_long"),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "bad_method"),
    ],
)
async def test_A13_what_is_no_request_has_a_line_without_its_bytes(
    begin: Begin, request_bytes: bytes, status: int, error: str
) -> None:
    logged = await begin()
    answer = await logged.side.refuses(request_bytes, status, error)
    line = await logged.line()
    line.pop("ts")
    assert line == {
        "level": "warning",
        "route": "",
        "version": "",
        "reason": "",
        "method": "",
        "path": "",
        "status": status,
        "dur_ms": 0.0,
        "bytes_out": 0,
        "request_id": answer.one("x-request-id"),
        "client_ip": "127.0.0.1",
        "error": error,
    }


async def test_a_request_that_no_route_takes_says_so(begin: Begin) -> None:
    logged = await begin()
    logged.side.use(logged.side.spec(paths=("/v1",)))
    assert (await logged.side.ask("/other")).status == 404
    line = await logged.line()
    assert (line["status"], line["error"], line["path"]) == (404, "no_route", "/other")
    assert line["bytes_out"] > 100
    assert (line["route"], line["version"], line["level"]) == ("", "", "warning")


async def test_a_model_that_cannot_be_reached_is_an_error(begin: Begin) -> None:
    logged = await begin()
    logged.side.use_urls(f"http://127.0.0.1:{closed_port()}")
    assert (await logged.side.ask()).status == 502
    line = await logged.line()
    assert (line["level"], line["error"]) == ("error", "upstream_connect_failed")
    assert "ttfb_ms" not in line and "upstream" not in line
    assert line["version"] == "v1"


async def test_A13_words_of_a_failing_model_are_not_repeated(begin: Begin) -> None:
    logged = await begin()
    reason = b"\xe2\x80\xae" + CANARY.encode()
    logged.side.model.answer = b"HTTP/1.1 503 %b\r\nContent-Length: 3\r\n\r\nbad" % reason
    assert (await logged.side.ask()).status == 503
    line = await logged.line()
    assert (line["level"], line["error"], line["bytes_out"]) == ("error", "status_5xx", 3)
    assert CANARY not in json.dumps(line)


async def test_an_answer_that_was_cut_is_an_error_although_it_began_well(begin: Begin) -> None:
    logged = await begin(sample=0.0)
    logged.side.model.answer = cut(EVENTS + b"5\r\nhello\r\n", Ending.RESET)
    client = await logged.side.dial()
    client.send(GET)
    await client.to_end(None)
    line = await logged.line()
    assert (line["status"], line["error"], line["level"]) == (200, "stream_cut", "error")
    assert line["bytes_out"] == len(b"5\r\nhello\r\n")


async def test_a_client_that_goes_before_the_answer_is_499(begin: Begin) -> None:
    logged = await begin(sample=0.0)
    logged.side.model.answer = silent
    client = await logged.side.dial()
    client.send(GET)
    await until_asked(logged.side)
    client.reset()
    await until_idle(logged.side)
    line = await logged.line()
    assert (line["status"], line["error"], line["level"]) == (499, "client_gone", "warning")


async def test_bodies_in_pieces_are_counted_as_far_as_they_came(begin: Begin) -> None:
    logged = await begin()
    logged.side.model.answer = echo
    client = await logged.side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    await until_asked(logged.side)
    client.send(b"def")
    assert (await client.answer()).body == b"abcdef"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(chunked + b"3\r\nabc\r\n0\r\n\r\n" + GET)
    assert (await client.answer()).body == b"abc"
    assert (await client.answer()).status == 200
    lines = await logged.lines()
    assert [line.get("bytes_in") for line in lines] == [6, len("3\r\nabc\r\n0\r\n\r\n"), None]
    assert [line["bytes_out"] for line in lines] == [6, 3, 0]


async def test_a_streamed_answer_is_counted_in_full(begin: Begin) -> None:
    logged = await begin()
    logged.side.model.answer = EVENTS + b"3\r\nabc\r\n" * 5 + b"0\r\n\r\n"
    assert (await logged.side.ask()).body == b"abc" * 5
    assert (await logged.line())["bytes_out"] == 5 * 8 + 5


async def test_retries_and_failover_are_told(begin: Begin) -> None:
    logged = await begin()
    dead = f"http://127.0.0.1:{closed_port()}"
    logged.side.use_urls(dead, logged.side.model.url, retries=1)
    for _ in range(64):
        assert (await logged.side.ask()).status == 200
    lines = await logged.lines()
    assert {line.get("retries") for line in lines} <= {None, 1}
    assert 1 in {line.get("retries") for line in lines}
    assert {line["upstream"] for line in lines} == {logged.side.model.url}


async def test_a_sample_leaves_out_ordinary_requests_only(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([0.1, 0.9, 0.5, 0.3, 0.9, 0.9])
    monkeypatch.setattr(access_log_module, "_draw", lambda: next(draws))
    logged = await begin(sample=0.5)
    side = logged.side
    for path in ("/in", "/out", "/edge", "/in2"):
        await side.ask(path)
    side.model.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    await side.ask("/failed")
    side.model.answer = b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"
    await side.ask("/busy")
    lines = await logged.lines()
    assert [line["path"] for line in lines] == ["/in", "/in2", "/failed"]


async def test_slow_requests_are_always_in_it(begin: Begin) -> None:
    logged = await begin(sample=0.0, slow_seconds=1e-9)
    await logged.side.ask("/slow")
    assert (await logged.line())["path"] == "/slow"


async def test_what_nobody_reads_is_counted(start: Start, tmp_path: Path) -> None:
    side = await start(access_log={"path": str(tmp_path / "away" / "log")})
    await side.ask()
    await side.stop()
    assert side.plane.dropped == {"access_log": 1}


async def test_lines_are_written_while_the_plane_runs(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "log"
    side = await start(access_log={"path": str(log)})
    client = await side.dial()
    await client.ask()
    await until(lambda: log.exists() and log.stat().st_size > 0, "the line is there")


def test_the_moment_follows_the_clock_to_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(AccessLogSettings())
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    monkeypatch.setattr("time.monotonic", lambda: 500.0)
    recorder.tick()
    moments = [recorder.moment(500.0 + step) for step in (0.0005, 0.0009, 0.0015, 0.9995, 61.25)]
    assert moments == [
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00.001Z",
        "2027-01-15T08:00:00.999Z",
        "2027-01-15T08:01:01.250Z",
    ]
    monkeypatch.setattr("time.time", lambda: 1_800_003_600.0)  # set by an hour
    recorder.tick()
    assert recorder.moment(500.5) == "2027-01-15T09:00:00.500Z"


async def test_A13_the_longest_line_is_still_one_that_a_pipe_takes_as_one(begin: Begin) -> None:
    logged = await begin(units="plain")
    logged.side.use(logged.side.spec(unit=("query:u",)))
    await logged.side.ask(
        "/" + '"\\' * 600 + "?u=" + "%22" * 256,
        method="M" * 999,
        X_Request_Id="r" * 128,
        traceparent=f"00-{'a' * 32}-{'b' * 16}-00",
        X_Forwarded_For="2001:db8:1111:2222:3333:4444:5555:6666",
    )
    line = await logged.line()
    assert len(json.dumps(line, ensure_ascii=False)) < 3500  # `lines` looks at each
    assert line["path"].endswith("...") and line["method"] == "M" * 32
    assert (line["trace_id"], line["request_id"]) == ("a" * 32, "r" * 128)


def test_an_access_log_says_what_it_does(tmp_path: Path) -> None:
    settings = AccessLogSettings(sample=0.25)
    log = AccessLog(settings, Recorder(settings), LineWriter(tmp_path / "log"))
    assert repr(log).startswith("<AccessLog of 25% by <LineWriter to ")


async def test_the_version_that_answered_is_told_after_a_failover(begin: Begin) -> None:
    logged = await begin()
    side = logged.side
    dead = VersionSpec(urls=(f"http://127.0.0.1:{closed_port()}",))
    good = VersionSpec(urls=(side.model.url,))
    side.use(
        side.spec(
            versions={"v1": good, "v2": dead}, weights={"v2": 100.0}, unit=("header:x-user-id",)
        )
    )
    assert (await side.ask(X_User_Id="alice")).status == 200
    line = await logged.line()
    assert (line["version"], line["reason"]) == ("v1", "failover")


async def until_asked(side: Side) -> None:
    await until(lambda: bool(side.model.heads), "the model has been asked")


async def until_idle(side: Side) -> None:
    await until(lambda: not side.plane.exchanges, "nothing is under way")
