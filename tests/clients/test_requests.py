"""The requests library: files, ranges, codings, redirects, cookies, streams both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256

import pytest
import requests

from tests.clients.other_apis import WORDS
from tests.clients.ways import Way, Ways, alike, fields, gone_after
from tests.clients.web_api import BIG_SHA256, BLOCK, BLOCKS, GZIPPED

SECONDS = 20.0
REQUESTS = 20


def told(answer: requests.Response) -> tuple[object, ...]:
    """An answer with its bytes as they were on the wire, before any decoding."""
    headers = fields(answer.raw.headers.items())
    return answer.status_code, answer.reason, headers, answer.raw.read(decode_content=False)


def asked(way: Way, method: str, path: str, **options: object) -> tuple[object, ...]:
    options = {"timeout": SECONDS, "stream": True, "allow_redirects": False, **options}
    with (
        requests.Session() as session,
        session.request(method, way.url + path, **options) as answer,  # type: ignore[arg-type]
    ):
        return told(answer)


# -- methods and targets ---------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_method_with_and_without_a_body(ways: Ways, method: str) -> None:
    alike(ways, lambda way: asked(way, method, "/echo"))
    alike(ways, lambda way: asked(way, method, "/echo", data=b"\x00\xff body \r\n"))


@pytest.mark.parametrize(
    "target",
    [
        "/echo?user=a%20b&x=%2F&y=a+b&empty=&flag",
        "/echo/a%2Fb/%E2%98%82",
        "/echo;v=1/c,d/~e/!$&'()*+",
        "/echo?q={x}|[y]",
        "/echo?" + "q" * 4000,
    ],
)
def test_the_target_arrives_as_it_was_written(ways: Ways, target: str) -> None:
    alike(ways, lambda way: asked(way, "GET", target))


def test_fields_of_a_request_arrive_in_order_and_as_they_are_spelt(ways: Ways) -> None:
    headers = {
        "X-oDD": "Kept",
        "Accept": "text/event-stream, */*;q=0.1",
        "Authorization": "Bearer sk-1",
        "X-Empty": "",
        "If-None-Match": '"abc", W/"def"',
        "Cookie": "a=1; b=2",
        "Origin": "https://app.example",
        "X-Long": "l" * 6000,
        "X-Utf8": "☂".encode(),
        "Inference-Header-Content-Length": "0",
    }
    alike(ways, lambda way: asked(way, "GET", "/echo", headers=headers))


def test_fields_of_an_answer_arrive_in_order_and_as_they_are_spelt(ways: Ways) -> None:
    alike(ways, lambda way: asked(way, "GET", "/fields"))


# -- answers ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 204, 206, 304, 400, 404, 409, 418, 451, 500, 599])
def test_every_status_arrives_with_its_reason(ways: Ways, status: int) -> None:
    alike(ways, lambda way: asked(way, "GET", f"/status/{status}"))


@pytest.mark.parametrize("framing", ["length", "chunked", "until-close"])
def test_a_big_download_arrives_whole_however_it_ends(ways: Ways, framing: str) -> None:
    *_, body = alike(ways, lambda way: asked(way, "GET", f"/big/{framing}"))
    assert sha256(body if isinstance(body, bytes) else b"").hexdigest() == BIG_SHA256


def test_a_compressed_answer_is_passed_on_as_it_is(ways: Ways) -> None:
    *_, body = alike(ways, lambda way: asked(way, "GET", "/gzip"))
    assert body == GZIPPED
    texts = alike(ways, lambda way: requests.get(way.url + "/gzip", timeout=SECONDS).json())
    assert texts["text"].startswith("gray gray")


def test_an_answer_that_ends_too_early_fails_the_same_way(ways: Ways) -> None:
    def use(way: Way) -> tuple[object, ...]:
        with pytest.raises(requests.RequestException) as caught:
            requests.get(way.url + "/short", timeout=SECONDS)
        return type(caught.value), str(caught.value)

    kind, text = alike(ways, use)
    assert kind is requests.exceptions.ChunkedEncodingError
    assert "5 bytes read, 5 more expected" in str(text)


def test_ranges_and_conditions_are_answered_by_the_model(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        path = "/files/weights.bin"
        with requests.get(way.url + path, timeout=SECONDS, stream=True) as answer:
            tag, date = answer.headers["ETag"], answer.headers["Last-Modified"]
        conditions: list[dict[str, str]] = [
            {},
            {"Range": "bytes=0-9"},
            {"Range": "bytes=1000000-1000009", "If-Range": date},
            {"Range": "bytes=-5"},
            {"Range": f"bytes={len(BLOCK) * BLOCKS}-"},  # beyond the end: 416
            {"If-None-Match": tag},
            {"If-Modified-Since": date},
            {"If-Match": '"another"'},
        ]
        return [
            asked(way, "HEAD", path),
            *(asked(way, "GET", path, headers=headers) for headers in conditions),
        ]

    statuses = [one[0] for one in alike(ways, use) if isinstance(one, tuple)]
    assert statuses == [200, 200, 206, 206, 206, 416, 304, 304, 412]


def test_head_has_no_body_and_leaves_the_connection_usable(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with way.relay() as relay, requests.Session() as session:
            found: list[object] = []
            for method in ("HEAD", "GET", "HEAD", "POST"):
                url = relay.url + ("/files/weights.bin" if method == "HEAD" else "/echo")
                answer = session.request(method, url, data=b"x", timeout=SECONDS)
                found.append((answer.status_code, fields(answer.headers.items()), answer.content))
            assert relay.connections == 1
        return found

    alike(ways, use)


# -- redirects, cookies, connections ---------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_the_clients_business(ways: Ways, status: int) -> None:
    path = f"/redirect/{status}"
    alike(ways, lambda way: asked(way, "POST", path, data=b"body"))
    elsewhere = f"{path}?to=http://elsewhere.example/v1%3Fa=b"
    alike(ways, lambda way: asked(way, "GET", elsewhere))

    def followed(way: Way) -> tuple[object, ...]:
        answer = requests.post(way.url + path, data=b"body", timeout=SECONDS)
        steps = [step.status_code for step in answer.history]
        return steps, answer.status_code, answer.headers["X-Method"], answer.content

    steps, last, *_ = alike(ways, followed)
    assert (steps, last) == ([status], 200)


def test_cookies_are_set_kept_and_sent_back(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        with requests.Session() as session:
            answer = session.get(way.url + "/cookies/set", timeout=SECONDS)
            session.get(way.url + "/echo", timeout=SECONDS)
            jar = [(one.name, one.value, one.path, one.expires) for one in session.cookies]
            return [answer.raw.headers.getlist("Set-Cookie"), jar]

    lines, jar = alike(ways, use)
    assert isinstance(lines, list)
    assert len(lines) == 3
    assert isinstance(jar, list)
    assert len(jar) == 3


def test_twenty_requests_one_after_the_other_use_one_connection(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        found: list[object] = []
        with way.relay() as relay, requests.Session() as session:
            for number in range(REQUESTS):
                path = ("/echo", "/fields", "/gzip", "/status/404", "/v1/models")[number % 5]
                answer = session.get(relay.url + path, timeout=SECONDS)
                found.append((answer.status_code, answer.content))
            assert relay.connections == 1, f"{way.name}: {relay.connections} connections"
        return found

    alike(ways, use)


# -- streams both ways -----------------------------------------------------------


def test_lines_of_json_arrive_one_by_one(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        header, stream = way.open_stream()
        body = {"model": "m"}
        found: list[object] = []
        with requests.post(
            way.url + "/api/chat", json=body, headers=header, stream=True, timeout=SECONDS
        ) as answer:
            for line in answer.iter_lines(chunk_size=1):
                found.append(json.loads(line))
                stream.confirm()
        return found

    assert len(alike(ways, use)) == len(WORDS)


def test_each_piece_of_an_upload_reaches_the_model_before_the_next_is_made(ways: Ways) -> None:
    def use(way: Way) -> object:
        header, stream = way.open_stream()

        def pieces() -> Iterator[bytes]:
            for number in range(5):
                yield b"%d" % number * 1000
                stream.wait_arrived()

        answer = requests.post(way.url + "/upload", data=pieces(), headers=header, timeout=SECONDS)
        return answer.json()

    assert alike(ways, use) is not None


def test_leaving_midway_through_a_download_stops_the_model(ways: Ways) -> None:
    def use(way: Way) -> object:
        header, stream = way.open_stream()
        body = {"model": "m"}
        with requests.post(
            way.url + "/api/chat", json=body, headers=header, stream=True, timeout=SECONDS
        ) as answer:
            first = next(answer.iter_lines(chunk_size=1))
        assert gone_after(stream), "the model works on for a client that has left"
        return first

    alike(ways, use)


# -- other model servers ---------------------------------------------------------


def test_calls_of_kserve_and_tensorflow_serving_are_the_same(ways: Ways) -> None:
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2.5]}
    head = json.dumps({"inputs": [{"name": "x", "shape": [4], "datatype": "UINT8"}]}).encode()
    binary = {
        "Inference-Header-Content-Length": str(len(head)),
        "Content-Type": "application/octet-stream",
    }
    instances = {"instances": [1.0, 5.0]}

    def use(way: Way) -> list[object]:
        return [
            asked(way, "GET", "/v2/health/ready"),
            asked(way, "POST", "/v2/models/m/infer", json={"inputs": [tensor]}),
            asked(way, "POST", "/v2/models/m/infer", data=head + b"\x00\xff\r\n", headers=binary),
            asked(way, "POST", "/v1/models/half:predict", json=instances),
            asked(way, "POST", "/v1/models/half/versions/3:predict", json=instances),
        ]

    answers = alike(ways, use)
    assert [one[0] for one in answers if isinstance(one, tuple)] == [200] * 5


def test_forms_and_files_of_several_kinds_arrive(ways: Ways) -> None:
    def use(way: Way) -> list[object]:
        form = {"model": "whisper", "note": "☂"}
        files = [("file", ("a.bin", BLOCK, "audio/wav")), ("second", ("b", b"", "text/plain"))]
        sent = requests.post(
            way.url + "/v1/audio/transcriptions", data=form, files=files, timeout=SECONDS
        )
        return [sent.json(), asked(way, "POST", "/echo", data=form)]

    alike(ways, use)
