from __future__ import annotations

import pytest

from gateway.errors import DownstreamError, UpstreamProtocolError
from gateway.http1.limits import Limits
from gateway.http1.start import parse_request_line, parse_status_line

LIMITS = Limits()


def refusal(line: bytes) -> tuple[int, str]:
    with pytest.raises(DownstreamError) as caught:
        parse_request_line(line, LIMITS)
    return caught.value.status, caught.value.code


# -- requests --------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["GET", "POST", "HEAD", "PROPFIND", "M-SEARCH", "X_1", "QUERY", "!#$%&'*+-.^_`|~09"]
)
def test_any_method_in_upper_case_is_taken(method: str) -> None:
    line = parse_request_line(f"{method} /p HTTP/1.1".encode(), LIMITS)
    assert (line.method, line.target, line.minor) == (method, b"/p", 1)


@pytest.mark.parametrize("method", [b"get", b"Get", b"head", b"GE/T", b"G\xe9T", b"GET\x00", b"("])
def test_a_method_that_others_may_read_as_another_is_refused(method: bytes) -> None:
    assert refusal(method + b" / HTTP/1.1") == (400, "bad_method")


@pytest.mark.parametrize(
    "line", [b"CONNECT a:443 HTTP/1.1", b"CONNECT / HTTP/1.1", b"CONNECT a:443 HTTP/1.0"]
)
def test_P22_connect_is_not_served(line: bytes) -> None:
    assert refusal(line) == (405, "bad_method")


def test_P33_trace_is_not_served() -> None:
    assert refusal(b"TRACE / HTTP/1.1") == (405, "bad_method")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /p",
        b"GET  /p HTTP/1.1",
        b"GET /p  HTTP/1.1",
        b"GET /p HTTP/1.1 ",
        b" GET /p HTTP/1.1",
        b"GET /p q HTTP/1.1",
        b"GET\t/p HTTP/1.1",
        b"GET /p\tHTTP/1.1",
        b"GET\x0b/p\x0cHTTP/1.1",
    ],
)
def test_P23_a_line_that_is_not_three_words_is_refused(line: bytes) -> None:
    assert refusal(line) == (400, "bad_request")


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/9.9"])
def test_P23_other_versions_of_http_are_not_served(version: bytes) -> None:
    assert refusal(b"GET / " + version) == (505, "bad_version")


def test_P23_the_preface_of_http_2_is_not_served() -> None:
    assert refusal(b"PRI * HTTP/2.0") == (505, "bad_version")


@pytest.mark.parametrize(
    "version",
    [
        b"RTSP/1.0",
        b"ICE/1.0",
        b"http/1.1",
        b"HTTP/1.10",
        b"HTTP/1.",
        b"HTTP/1",
        b"HTTP1.1",
        b"HTTP/1.1\r",
        b"HTTP/1.1\n",
        b"HTTP/1.1\x00",
        b"HTTP/1.1\xa0",
        b"",
    ],
)
def test_P23_what_is_no_version_of_http_is_refused(version: bytes) -> None:
    assert refusal(b"GET / " + version) == (400, "bad_version")


def test_P23_http_1_0_is_served() -> None:
    assert parse_request_line(b"GET / HTTP/1.0", LIMITS).minor == 0


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a//b/../%2e%2e?x=%01&y", b"/a//b/../%2e%2e", b"x=%01&y"),
        (b"//evil/p", b"//evil/p", b""),
        (b"/p?", b"/p", b""),
        (b"/p??a?b", b"/p", b"?a?b"),
        (b'/"<>\\^`{|}', b'/"<>\\^`{|}', b""),
        (b"/%0d%0a%zz%", b"/%0d%0a%zz%", b""),
        (b"/p?u=http://b/@:", b"/p", b"u=http://b/@:"),
        (b"/%2500", b"/%2500", b""),
    ],
)
def test_P24_a_path_and_query_are_taken_as_they_came(
    target: bytes, path: bytes, query: bytes
) -> None:
    line = parse_request_line(b"GET " + target + b" HTTP/1.1", LIMITS)
    assert (line.target, line.path, line.query) == (target, path, query)
    assert line.authority == b""


@pytest.mark.parametrize(
    "target",
    [
        b"/p#frag",
        b"/p?q#frag",
        b"#",
        b"/%00",
        b"/p?x=%00&y",
        b"/a%41%00",
        b"/\xe9",
        b"/p?\xff",
        b"/\x00",
        b"/\x01",
        b"/a\x7f",
        b"/a\rb",
        b"/a\nb",
        b"p",
        b"",
        b"?q",
        b"a.example:443",
        b"*p",
    ],
)
def test_P24_a_target_that_could_not_be_passed_on_unchanged_is_refused(target: bytes) -> None:
    assert refusal(b"GET " + target + b" HTTP/1.1") == (400, "bad_path")


def test_P22_an_asterisk_belongs_to_options() -> None:
    line = parse_request_line(b"OPTIONS * HTTP/1.1", LIMITS)
    assert (line.target, line.path, line.query) == (b"*", b"*", b"")
    assert refusal(b"GET * HTTP/1.1") == (400, "bad_path")
    assert refusal(b"PRI * HTTP/1.1") == (400, "bad_path")


@pytest.mark.parametrize(
    ("target", "authority", "sent_on"),
    [
        (b"http://b/p?q", b"b", b"/p?q"),
        (b"HTTP://B:8080/", b"B:8080", b"/"),
        (b"https://b/p", b"b", b"/p"),
        (b"http://b", b"b", b"/"),
        (b"http://b?q", b"b", b"/?q"),
        (b"http://[::1]:80//p", b"[::1]:80", b"//p"),
        (b"http://b/http://c/", b"b", b"/http://c/"),
    ],
)
def test_P21_an_absolute_target_is_taken_apart(
    target: bytes, authority: bytes, sent_on: bytes
) -> None:
    line = parse_request_line(b"GET " + target + b" HTTP/1.1", LIMITS)
    assert (line.authority, line.target) == (authority, sent_on)


def test_P21_options_of_a_host_are_asked_by_an_asterisk() -> None:
    assert parse_request_line(b"OPTIONS http://b HTTP/1.1", LIMITS).target == b"*"
    assert parse_request_line(b"OPTIONS http://b/ HTTP/1.1", LIMITS).target == b"/"
    assert parse_request_line(b"OPTIONS http://b?q HTTP/1.1", LIMITS).target == b"/?q"


@pytest.mark.parametrize(
    "target", [b"http://u@b/", b"http://u:p@b/", b"http://b:99999/", b"http://a,b/"]
)
def test_P21_an_authority_that_is_no_host_is_refused(target: bytes) -> None:
    assert refusal(b"GET " + target + b" HTTP/1.1") == (400, "bad_host")


@pytest.mark.parametrize(
    "target",
    [
        b"ftp://b/",
        b"ws://b/",
        b"http:/b/",
        b"http:///p",
        b"http://?q",
        b"http://b/#f",
        b"http://b/%00",
        b"http://b/\xe9",
        b"file:///etc",
    ],
)
def test_P21_other_absolute_targets_are_refused(target: bytes) -> None:
    assert refusal(b"GET " + target + b" HTTP/1.1") == (400, "bad_path")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://b/", b"b"),
        (b"http://B/", b"b"),
        (b"http://b/", b"b:80"),
        (b"http://b:80/", b"B"),
        (b"https://b/", b"b:443"),
        (b"http://b:81/", b"b:81"),
    ],
)
def test_P21_a_host_agrees_with_the_authority(target: bytes, host: bytes) -> None:
    assert parse_request_line(b"GET " + target + b" HTTP/1.1", LIMITS).agrees_with(host)


@pytest.mark.parametrize(
    ("target", "host"), [(b"http://b/", b"a"), (b"https://b/", b"b:80"), (b"http://b:81/", b"b")]
)
def test_P21_another_host_does_not_agree(target: bytes, host: bytes) -> None:
    assert not parse_request_line(b"GET " + target + b" HTTP/1.1", LIMITS).agrees_with(host)


def test_P25_a_line_may_be_as_long_as_its_limit_and_no_longer() -> None:
    line = b"GET /%b HTTP/1.1" % (b"a" * (LIMITS.line_bytes - 14))
    assert len(line) == LIMITS.line_bytes
    assert parse_request_line(line, LIMITS).minor == 1
    assert refusal(line.replace(b"/", b"/a", 1)) == (414, "line_too_long")


# -- answers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "sent_on"),
    [
        (b"HTTP/1.1 200 OK", 200, b"HTTP/1.1 200 OK"),
        (b"HTTP/1.0 200 OK", 200, b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200 ", 200, b"HTTP/1.1 200 "),
        (b"HTTP/1.1 200", 200, b"HTTP/1.1 200 "),
        (b"HTTP/1.1 599 a  b\tc", 599, b"HTTP/1.1 599 a  b\tc"),
        (b"HTTP/1.1 404 Introuvable \xe9", 404, b"HTTP/1.1 404 Introuvable \xe9"),
        (b"HTTP/1.1 100 Continue", 100, b"HTTP/1.1 100 Continue"),
    ],
)
def test_P09_a_status_line_is_passed_on_with_our_version(
    line: bytes, status: int, sent_on: bytes
) -> None:
    found = parse_status_line(line, LIMITS)
    assert (found.status, found.line) == (status, sent_on)
    assert found.minor == int(line[7:8])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 099 X",
        b"HTTP/1.1 999 X",
        b"HTTP/1.1 600 X",
        b"HTTP/1.1 20 X",
        b"HTTP/1.1 2000 X",
        b"HTTP/1.1 2x0 X",
        b"HTTP/1.1 +20 X",
        b"HTTP/1.1 \xb200 X",
        b"HTTP/1.1  200 X",
        b"HTTP/1.1 200\tX",
        b"HTTP/1.1 200OK",
        b"HTTP/2.0 200 X",
        b"HTTP/1.2 200 X",
        b"HTTP/0.9 200 X",
        b"http/1.1 200 X",
        b"RTSP/1.0 200 X",
        b" HTTP/1.1 200 X",
        b"HTTP/1.1 200 a\x00b",
        b"HTTP/1.1 200 a\rb",
        b"HTTP/1.1 200 a\nb",
        b"HTTP/1.1 200 a\x1bb",
        b"HTTP/1.1 200 a\x7fb",
    ],
)
def test_P09_what_is_no_status_line_of_http_1_is_refused(line: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        parse_status_line(line, LIMITS)


def test_an_endless_status_line_is_refused() -> None:
    line = b"HTTP/1.1 200 " + b"a" * (LIMITS.line_bytes - 13)
    assert parse_status_line(line, LIMITS).status == 200
    with pytest.raises(UpstreamProtocolError):
        parse_status_line(line + b"a", LIMITS)


def test_first_lines_say_what_they_are() -> None:
    assert (
        repr(parse_request_line(b"GET /p HTTP/1.0", LIMITS)) == "<RequestLine GET b'/p' HTTP/1.0>"
    )
    assert repr(parse_status_line(b"HTTP/1.1 204", LIMITS)) == "<StatusLine b'HTTP/1.1 204 '>"
