"""What is asked for, of whom, and in which version of the protocol."""

from __future__ import annotations

import pytest

from gateway.routing.spec import VersionSpec
from tests.proxy.side import GET, Feed, Side

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def asking(line: bytes, *fields: bytes, host: bytes = b"a") -> bytes:
    return b"\r\n".join([line, b"Host: " + host, *fields, b"", b""])


async def refused(side: Side, feed: Feed, request: bytes, *statuses: int) -> str:
    """One of these errors, the end of the connection, and nothing at the model."""
    client = await side.dial()
    await feed(client, request + HIDDEN)
    answer = await client.answer()
    assert answer.status in statuses and answer.closes, answer
    assert await client.to_end(None) == b""
    assert side.model.received == b""
    return answer.code


# P-20: Host.


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a, b",
        b"a,b",
        b"u@a",
        b"a/b",
        b"a?b",
        b"a#b",
        b"a b",
        b"a\tb",
        b"a:99999",
        b"a:x",
        b"a:-1",
        b"a:80:80",
        b":80",
        b"[::1",
        b"::1",
        b"[::1]x",
        b"[g::1]",
        b"a\\b",
        b"a%2fb",
        b"a<b>",
        b"\xe9.example",
        b"a'b",
    ],
)
async def test_P20_a_host_that_is_none_is_refused(side: Side, feed: Feed, host: bytes) -> None:
    request = asking(b"GET / HTTP/1.1", host=host)
    assert await refused(side, feed, request, 400) == "bad_host"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nX: y\r\nHOST:a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
)
async def test_P20_not_exactly_one_host_is_refused(side: Side, feed: Feed, head: bytes) -> None:
    assert await refused(side, feed, head, 400) == "bad_host"


@pytest.mark.parametrize(
    "host",
    [b"[::1]:80", b"[::1]", b"127.0.0.1:8080", b"a.example:", b"A_b-c.example.:65535", b"a:0"],
)
async def test_P20_hosts_of_every_lawful_form_are_served(
    side: Side, feed: Feed, host: bytes
) -> None:
    assert (await side.once(asking(b"GET / HTTP/1.1", host=host), feed=feed)).status == 200
    assert side.model.last.one("x-forwarded-host") == host.decode()


async def test_P20_http_1_0_needs_no_host(side: Side, feed: Feed) -> None:
    assert (await side.once(b"GET / HTTP/1.0\r\n\r\n", feed=feed)).status == 200


@pytest.mark.parametrize("host", [b"b.example", b"B.Example:8080", b"b.example."])
async def test_P20_a_route_is_found_by_its_host(side: Side, host: bytes) -> None:
    side.use(side.spec(), side.spec(name="other", hosts=("b.example",), stable="v2"))
    answer = await side.once(asking(b"GET / HTTP/1.1", host=host))
    assert answer.one("x-graygate-version") == "v2"


async def test_the_model_is_asked_by_its_own_host(side: Side) -> None:
    await side.ask()
    assert side.model.last.one("host") == side.model.url.removeprefix("http://")
    assert side.model.last.one("x-forwarded-host") == "front.example"


# P-21: absolute form.


async def test_P21_the_host_of_an_absolute_target_is_what_counts(side: Side, feed: Feed) -> None:
    side.use(
        side.spec(hosts=("a.example",)),
        side.spec(name="other", hosts=("b.example",), stable="v2"),
    )
    request = asking(b"GET http://b.example/p?q=1 HTTP/1.1", host=b"a.example")
    client = await side.dial()
    await feed(client, request)
    answer = await client.answer()
    if answer.status == 400:
        assert side.model.received == b""
        return
    assert answer.one("x-graygate-version") == "v2"
    assert side.model.last.target == "/p?q=1"
    assert side.model.last.one("x-forwarded-host") == "b.example"
    assert b"a.example" not in side.model.received


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://a", "/"),
        (b"http://a/", "/"),
        (b"HTTP://a/x//y?z", "/x//y?z"),
        (b"http://a:80/x", "/x"),
        (b"http://a?q=1", "/?q=1"),
    ],
)
async def test_P21_an_absolute_target_becomes_a_path(
    side: Side, feed: Feed, target: bytes, path: str
) -> None:
    host = b"a:80" if b":80" in target else b"a"
    answer = await side.once(asking(b"GET " + target + b" HTTP/1.1", host=host), feed=feed)
    assert answer.status == 200
    assert side.model.last.target == path


@pytest.mark.parametrize(
    "target",
    [
        b"http://u@a/",
        b"http://u:p@a/",
        b"http:///x",
        b"http://",
        b"http:/x",
        b"http://a:99999/",
        b"http://a b/",
        b"http://a,b/",
        b"http://a\\@b/",
        b"http://a#x",
        b"ftp://a/",
        b"file:///etc/passwd",
        b"gopher://a/",
        b"ws://a/",
        b"a/b",
        b"a",
    ],
)
async def test_P21_other_targets_are_refused(side: Side, feed: Feed, target: bytes) -> None:
    await refused(side, feed, asking(b"GET " + target + b" HTTP/1.1"), 400)


async def test_A03_a_path_that_looks_like_a_host_is_a_path(side: Side, feed: Feed) -> None:
    assert (await side.once(asking(b"GET //evil/p HTTP/1.1"), feed=feed)).status == 200
    assert side.model.last.target == "//evil/p"


@pytest.mark.parametrize("target", [b"/metrics", b"/api/v1/routes", b"/%61pi/v1", b"//api/v1"])
async def test_A03_nothing_of_the_admin_port_answers_here(side: Side, target: bytes) -> None:
    side.use(side.spec(paths=("/only",)))
    answer = await side.once(asking(b"GET " + target + b" HTTP/1.1"))
    assert (answer.status, answer.code) == (404, "no_route")
    assert side.model.received == b""


# P-22: asterisk and authority form, and methods that are not for us.


async def test_P22_options_for_all_is_answered_by_the_gateway(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, asking(b"OPTIONS * HTTP/1.1"))
    answer = await client.answer("OPTIONS")
    assert answer.status in (200, 204, 400)
    assert side.model.received == b""
    if not answer.closes:
        assert (await client.ask()).status == 200


@pytest.mark.parametrize(
    "line", [b"GET * HTTP/1.1", b"POST * HTTP/1.1", b"OPTIONS ** HTTP/1.1", b"GET *x HTTP/1.1"]
)
async def test_P22_an_asterisk_for_anything_else_is_refused(
    side: Side, feed: Feed, line: bytes
) -> None:
    await refused(side, feed, asking(line), 400)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"CONNECT a:443 HTTP/1.1", b"X: y"),
        (b"CONNECT a:443 HTTP/1.1", b"Content-Length: 5"),
        (b"CONNECT / HTTP/1.1", b"Transfer-Encoding: chunked"),
        (b"CONNECT http://a/ HTTP/1.1", b"X: y"),
        (b"GET a:443 HTTP/1.1", b"X: y"),
    ],
)
async def test_P22_connect_is_refused_and_nothing_behind_it_is_read(
    side: Side, feed: Feed, line: bytes, fields: bytes
) -> None:
    await refused(side, feed, asking(line, fields), 400, 405, 501)


@pytest.mark.parametrize("fields", [b"X: y", b"Max-Forwards: 0", b"Max-Forwards: 5"])
async def test_P33_trace_is_refused(side: Side, feed: Feed, fields: bytes) -> None:
    assert await refused(side, feed, asking(b"TRACE / HTTP/1.1", fields), 405) == "bad_method"


async def test_P33_options_that_may_go_no_further_is_answered_here(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, asking(b"OPTIONS /v1 HTTP/1.1", b"Max-Forwards: 0"))
    answer = await client.answer("OPTIONS")
    assert answer.status in (200, 204)
    assert side.model.received == b""


@pytest.mark.parametrize(("said", "left"), [(b"1", "0"), (b"10", "9"), (b"007", "6")])
async def test_P33_options_goes_one_hop_less_far(
    side: Side, feed: Feed, said: bytes, left: str
) -> None:
    request = asking(b"OPTIONS /v1 HTTP/1.1", b"Max-Forwards: " + said)
    assert (await side.once(request, "OPTIONS", feed)).status == 200
    assert side.model.last.one("max-forwards") == left


async def test_P33_max_forwards_says_nothing_to_other_methods(side: Side, feed: Feed) -> None:
    answer = await side.once(asking(b"GET / HTTP/1.1", b"Max-Forwards: 0"), feed=feed)
    assert answer.status == 200
    assert side.model.last.method == "GET"


@pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"DELETE", b"PROPFIND", b"M-SEARCH", b"get"])
async def test_any_other_method_passes(side: Side, feed: Feed, method: bytes) -> None:
    answer = await side.once(asking(method + b" / HTTP/1.1"), feed=feed)
    assert answer.status == 200 or (method.islower() and answer.status == 400)
    if answer.status == 200:
        assert side.model.last.method == method.decode()


# P-23: versions and request lines.


@pytest.mark.parametrize(
    "line",
    [
        b"GET /",
        b"GET / ",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/1.10",
        b"GET / HTTP/2.0",
        b"GET / HTTP/3",
        b"GET / HTTP/9.9",
        b"GET / http/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / HTTP/1",
        b"GET / HTTP/",
        b"GET / RTSP/1.0",
        b"GET / ICE/1.0",
        b"GET / XHTTP/1.1",
        b"PRI * HTTP/2.0",
    ],
)
async def test_P23_other_versions_are_refused(side: Side, feed: Feed, line: bytes) -> None:
    await refused(side, feed, asking(line), 400, 505)


async def test_P23_the_preface_of_http_2_is_refused(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    assert (await client.answer()).status in (400, 505)
    await client.to_end(None)
    assert side.model.received == b""


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"G@T / HTTP/1.1",
        b"G\x80T / HTTP/1.1",
        b" / HTTP/1.1",
        b"/ HTTP/1.1",
        b"GET",
        b"G\x00T / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_P23_a_line_that_is_no_request_line_is_refused(
    side: Side, feed: Feed, line: bytes
) -> None:
    await refused(side, feed, asking(line), 400, 505)


async def test_P23_http_1_0_is_served_and_closed(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, b"GET /p HTTP/1.0\r\nHost: a\r\n\r\n")
    answer = await client.answer()
    assert (answer.status, answer.body, await client.to_end()) == (200, b"ok", b"")
    assert b" HTTP/1.1\r\n" in side.model.received


# P-24: path and query.


@pytest.mark.parametrize(
    "target",
    [
        "/a//b/../%2e%2e?x=%20&y",
        "/v1/%7Euser?q=a+b%20c",
        "/?a=1&a=2",
        "/?",
        "/a?b?c=/../",
        "/v1/models/m:predict",
        "/a;b=c,d@e!$&'()*+",
        '/"<>\\^`{|}',
        "/%E9%c3%A9",
        "/?q=%",
        "/?q=%zz&%0d%0a",
    ],
)
async def test_P24_path_and_query_arrive_byte_for_byte(side: Side, feed: Feed, target: str) -> None:
    answer = await side.once(asking(f"GET {target} HTTP/1.1".encode()), feed=feed)
    if answer.status == 400:
        assert side.model.received == b"" and "%" in target.partition("?")[2]
    else:
        assert (answer.status, side.model.last.target) == (200, target)


@pytest.mark.parametrize(
    "target",
    [
        b"/#frag",
        b"/a?b#c",
        b"/\x80",
        b"/caf\xc3\xa9",
        b"/a?b=\xff",
        b"/\x01",
        b"/a\x7fb",
        b"/a\x0bb",
        b"/%00",
        b"/a%0d%0ab",
        b"/%1b",
        b"/%zz",
        b"/%",
        b"/%4",
        b"/../x",
        b"/a/../../x",
        b"/%2e%2e/x",
        b"/..%2f..%2fx/%2e%2e/../../x",
    ],
)
async def test_P24_what_cannot_be_passed_on_unchanged_is_refused(
    side: Side, feed: Feed, target: bytes
) -> None:
    code = await refused(side, feed, asking(b"GET " + target + b" HTTP/1.1"), 400)
    assert code in ("bad_path", "bad_request")


@pytest.mark.parametrize("target", ["/adm%69n/x", "/x/../admin/x", "//admin//x", "/./admin/x"])
async def test_P24_a_route_is_found_by_one_form_of_the_path_only(side: Side, target: str) -> None:
    side.use(side.spec(), side.spec(name="admin", paths=("/admin",), stable="v2"))
    answer = await side.once(asking(f"GET {target} HTTP/1.1".encode()))
    assert answer.one("x-graygate-version") == "v2"
    assert side.model.last.target == target


async def test_P24_the_path_of_an_endpoint_comes_first(side: Side) -> None:
    side.use(side.spec(versions={"v1": VersionSpec(urls=(f"{side.model.url}/base/",))}))
    await side.ask("/p?q=1")
    assert side.model.last.target == "/base/p?q=1"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages",
        "/v2/models/m/versions/1/infer",
        "/v1/models/m/versions/2:predict",
        "/api/generate",
        "/v2/health/ready",
    ],
)
async def test_C1_paths_of_all_dialects_pass_unchanged(side: Side, path: str) -> None:
    await side.ask(path)
    assert side.model.last.target == path


async def test_two_requests_for_two_hosts_share_one_connection(side: Side) -> None:
    client = await side.dial()
    await client.ask(GET)
    await client.ask(asking(b"GET /second HTTP/1.1", host=b"b"))
    assert side.model.targets == ["/", "/second"]
    assert side.model.requests[1].one("x-forwarded-host") == "b"
