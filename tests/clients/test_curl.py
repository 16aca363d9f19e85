"""curl: old and new versions of HTTP, expectations, uploads, streams."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.clients.openai_api import WORDS
from tests.clients.programs import SECONDS, curl, curl_running
from tests.clients.ways import Way, Ways, alike, fields, gone_after
from tests.clients.web_api import BIG_SHA256, BLOCK

pytestmark = pytest.mark.debian

TWO_MB = BLOCK * 32
CHAT = json.dumps({"model": "m", "messages": [], "stream": True})
TIMED_OUT = 28


def told(way: Way, path: str, *words: str, given: bytes = b"") -> tuple[object, ...]:
    """Exit code, status line without its version, fields and body of the last answer."""
    done = curl("--include", way.url + path, *words, given=given)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    interim: list[int] = []
    while head.startswith(b"HTTP/1.1 1"):
        interim.append(int(head.split()[1]))
        head, _, body = body.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    said = done.stderr.decode().replace(way.url, "")
    reason = status.partition(" ")[2]
    return done.returncode, said, reason, fields(pairs), body


@pytest.mark.parametrize(
    "path", ["/fields", "/gzip", "/big/length", "/big/chunked", "/status/404", "/cookies/set"]
)
def test_fields_and_bytes_are_the_same(ways: Ways, path: str) -> None:
    code, *_ = alike(ways, lambda way: told(way, path))
    assert code == 0


def test_an_answer_without_length_ends_as_it_does_directly(ways: Ways) -> None:
    *_, body = alike(ways, lambda way: told(way, "/big/until-close"))
    assert isinstance(body, bytes)
    assert sha256(body).hexdigest() == BIG_SHA256


def test_a_short_answer_is_an_error_for_curl_too(ways: Ways) -> None:
    code, *_ = alike(ways, lambda way: told(way, "/short"))
    assert code == 18  # partial file


@pytest.mark.parametrize(
    "words",
    [
        ("--head",),
        ("--request", "PURGE"),
        ("--range", "3-9"),
        ("--compressed",),
        ("--header", "X-One: 1", "--header", "X-One: 2", "--header", "Accept:"),
        ("--user", "alice:open sesame"),
        ("--path-as-is", "--get", "--data-urlencode", "q=a b/☂"),
    ],
)
def test_options_of_curl_work_the_same(ways: Ways, words: tuple[str, ...]) -> None:
    code, *_ = alike(ways, lambda way: told(way, "/files/weights.bin", *words))
    assert code == 0


def test_a_path_with_dots_and_slashes_arrives_as_it_is(ways: Ways) -> None:
    *_, body = alike(ways, lambda way: told(way, "/echo//x/y?u=http://a/../b", "--path-as-is"))
    assert body == b""


def test_a_form_with_a_file_arrives(ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(TWO_MB)
    words = ("--form", f"file=@{tmp_path}/talk.wav;type=audio/wav", "--form", "model=whisper")
    code, *_, body = alike(ways, lambda way: told(way, "/v1/audio/transcriptions", *words))
    assert code == 0
    assert isinstance(body, bytes)
    assert sha256(TWO_MB).hexdigest().encode() in body


# -- versions and expectations ---------------------------------------------------


def upload(way: Way, path: str, *words: str) -> tuple[object, ...]:
    return told(way, path, *words, "--data-binary", "@-", given=TWO_MB)


def test_P15_an_upload_of_2_mb_waits_for_100_continue(ways: Ways) -> None:
    def use(way: Way) -> object:
        words = ("--verbose", "--header", "Expect: 100-continue", "--data-binary", "@-")
        done = curl(way.url + "/upload", *words, given=TWO_MB)
        assert b"< HTTP/1.1 100 Continue" in done.stderr, way.name
        assert b"Done waiting for 100-continue" not in done.stderr, "no 100 came within a second"
        return json.loads(done.stdout)

    assert alike(ways, use) == {"bytes": len(TWO_MB), "sha256": sha256(TWO_MB).hexdigest()}


def test_P15_P27_a_refusal_before_the_body_reaches_the_client(ways: Ways) -> None:
    """Whether a 100 comes first and how much is sent is up to the gateway; the answer is not."""
    expect = ("--header", "Expect: 100-continue")
    alike(ways, lambda way: upload(way, "/refuse", *expect)[2:])
    *_, body = alike(ways, lambda way: upload(way, "/refuse", "--header", "Expect:")[2:])
    assert isinstance(body, bytes)
    assert b"too_large" in body


@pytest.mark.parametrize("path", ["/fields", "/big/length", "/big/chunked", "/v1/models"])
def test_a_client_of_http_1_0_is_served(ways: Ways, path: str) -> None:
    code, *_ = alike(ways, lambda way: told(way, path, "--http1.0"))
    assert code == 0
    code, *_ = alike(ways, lambda way: upload(way, "/upload", "--http1.0"))
    assert code == 0


def test_a_stream_reaches_a_client_of_http_1_0_event_by_event(ways: Ways) -> None:
    alike(ways, lambda way: streamed(way, "--http1.0"))


def test_P18_an_offer_of_h2c_is_served_as_plain_http_1_1(ways: Ways) -> None:
    code, *_ = alike(ways, lambda way: told(way, "/fields", "--http2"))
    assert code == 0
    code, *_, body = alike(ways, lambda way: upload(way, "/upload", "--http2"))
    assert code == 0
    assert isinstance(body, bytes)
    assert sha256(TWO_MB).hexdigest().encode() in body


def test_P23_http_2_without_asking_fails_cleanly(ways: Ways) -> None:
    for way in (ways.direct, ways.gateway):
        done = curl("--http2-prior-knowledge", way.url + "/echo")
        assert done.returncode not in (0, TIMED_OUT), way.name
        assert done.stderr, "curl had nothing to say"
    code, *_ = alike(ways, lambda way: told(way, "/echo"))
    assert code == 0


# -- streams ---------------------------------------------------------------------


def streamed(way: Way, *words: str) -> list[bytes]:
    """Events as they came, each confirmed before the next could be sent."""
    header, stream = way.open_stream()
    words = (*words, "--header", f"X-Stream: {header['X-Stream']}", "--json", CHAT)
    events: list[bytes] = []
    with curl_running(way.url + "/v1/chat/completions", *words) as process:
        assert process.stdout is not None
        for line in iter(process.stdout.readline, b""):
            if line == b"\n":
                stream.confirm()
            else:
                events.append(line)
        assert process.wait(SECONDS) == 0
    return events


def test_a_stream_arrives_event_by_event(ways: Ways) -> None:
    assert len(alike(ways, streamed)) == 1 + len(WORDS) + 2


def test_ctrl_c_on_a_stream_stops_the_model(ways: Ways) -> None:
    for way in (ways.direct, ways.gateway):
        header, stream = way.open_stream()
        words = ("--header", f"X-Stream: {header['X-Stream']}", "--json", CHAT)
        with curl_running(way.url + "/v1/chat/completions", *words) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"data: ")
            process.kill()
        assert gone_after(stream), way.name


def test_an_upload_from_a_pipe_streams(ways: Ways) -> None:
    def use(way: Way) -> bytes:
        header, stream = way.open_stream()
        words = ["--upload-file", "-", "--request", "POST", "--header", "Expect:"]
        words += ["--header", f"X-Stream: {header['X-Stream']}"]
        with curl_running(way.url + "/upload", *words) as process:
            assert process.stdin is not None
            for number in range(4):
                process.stdin.write(b"%d" % number * 2000)
                stream.wait_arrived()
            said, _ = process.communicate(timeout=SECONDS)
        return said

    assert json.loads(alike(ways, use))["bytes"] == 8000


def test_urls_of_one_command_share_a_connection(ways: Ways) -> None:
    def use(way: Way) -> bytes:
        with way.relay() as relay:
            urls = [relay.url + path for path in ("/echo", "/fields", "/gzip", "/v1/models") * 5]
            done: subprocess.CompletedProcess[bytes] = curl(*urls)
            assert relay.connections == 1, f"{way.name}: {relay.connections} connections"
        return done.stdout

    alike(ways, use)
