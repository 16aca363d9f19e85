from __future__ import annotations

import pytest

from gateway.errors import DownstreamError, Source
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.request import RequestHead, Start, parse_request
from tests.http1.wire import HOST, LIMITS, LINE, parse, refusal, with_line

OLD = b"GET / HTTP/1.0"


# -- what passes -----------------------------------------------------------------


def test_P11_P12_lines_pass_as_they_came_and_in_their_order() -> None:
    lines = [b"X-CaSe: 1", b"B:2", b"X-CaSe: 3", b"A: \xe9\x80", b"x-case: 4", b"Empty:"]
    assert with_line(*lines).kept == lines


def test_P10_superfluous_blanks_do_not_pass() -> None:
    assert with_line(b"X:  a \t", b"Y: b").kept == [b"X: a", b"Y: b"]


def test_P01_P08_framing_and_what_belongs_to_one_hop_do_not_pass() -> None:
    head = with_line(
        b"Connection: keep-alive, upgrade, te",
        b"Keep-Alive: 5",
        b"Proxy-Connection: x",
        b"Proxy-Authorization: x",
        b"TE: trailers",
        b"Trailer: X",
        b"Transfer-Encoding: chunked",
        b"Upgrade: websocket",
        b"HTTP2-Settings: AAMAAABkAAQ",
        b"Expect: 100-continue",
        b"X: 1",
    )
    assert head.kept == [b"X: 1"]
    assert with_line(b"Content-Length: 3", b"X: 1").kept == [b"X: 1"]


def test_P02_what_connection_names_does_not_pass() -> None:
    head = with_line(
        b"X-Foo: 1",
        b"Connection: close, X-Foo",
        b"x-foo: 2",
        b"X-Foo-Bar: 3",
        b"connection: Y",
        b"y: 4",
    )
    assert head.kept == [b"X-Foo-Bar: 3"]
    assert not head.keep_alive


def test_P02_identity_and_framing_cannot_be_named_away() -> None:
    head = with_line(
        b"Connection: Host, Content-Length, Authorization, Cookie, X-User-Id, X-Forwarded-For",
        b"Content-Length: 3",
        b"Authorization: a",
        b"Cookie: b",
        b"X-User-Id: c",
        b"X-Forwarded-For: d",
        wanted=frozenset({b"x-user-id"}),
    )
    assert (head.host, head.length) == (b"a.example", 3)
    assert head.kept == [b"Authorization: a", b"Cookie: b", b"X-User-Id: c"]
    assert head.special == [(b"x-forwarded-for", b"d", b"X-Forwarded-For: d")]


def test_A10_another_spelling_of_a_wanted_or_framing_name_does_not_pass() -> None:
    lines = (b"X_User_Id: eve", b"Content_Length: 5", b"transfer_encoding: chunked", b"X_Y: 1")
    head = with_line(*lines, wanted=frozenset({b"x-user-id"}))
    assert head.kept == [b"X_Y: 1"]
    assert (head.single, head.length, head.chunked) == ({}, -1, False)


def test_the_same_head_says_the_same_again() -> None:
    memo = LineMemo(frozenset({b"x-user-id"}))
    raw = b"\r\n".join(
        (LINE, HOST, b"X-User-Id: alice", b"Via: 1.1 x", b"X:  a", b"Content-Length: 5", b"Y: 1")
    )
    seen = [parse_request(raw, memo, LIMITS) for _ in range(3)]
    for head in seen:
        assert head.kept == [b"X-User-Id: alice", b"X: a", b"Y: 1"]
        assert head.single == {b"x-user-id": b"alice"}
        assert head.special == [(b"via", b"1.1 x", b"Via: 1.1 x")]
        assert head.length == 5
    seen[0].kept.append(b"more")
    assert len(seen[1].kept) == 3


# -- the first line and Host -----------------------------------------------------


def test_P24_path_and_query_are_raw() -> None:
    head = parse(b"GET /a//%2e?q=%20?&x HTTP/1.1", HOST)
    assert (head.method, head.target) == ("GET", b"/a//%2e?q=%20?&x")
    assert (head.path, head.query, head.minor) == (b"/a//%2e", b"q=%20?&x", 1)


def test_one_empty_line_in_front_is_no_harm() -> None:
    assert parse(b"", LINE, HOST).host == b"a.example"
    assert refusal(b"", b"", LINE, HOST) == (400, "bad_request")
    assert refusal(b"") == (400, "bad_request")
    assert refusal(b"", b"") == (400, "bad_request")


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"Host:",),
        (b"Host: ",),
        (HOST, HOST),
        (HOST, b"host: b"),
        (b"Host: a, b",),
        (b"Host: u@a",),
        (b"Host: a/b",),
        (b"Host: a b",),
        (b"Host: a:99999",),
        (b"H_ost: a",),
    ],
)
def test_P20_exactly_one_good_host_is_needed(lines: tuple[bytes, ...]) -> None:
    assert refusal(LINE, *lines) == (400, "bad_host")


def test_P20_http_1_0_may_have_no_host_but_not_a_bad_one() -> None:
    assert parse(OLD).host == b""
    assert parse(OLD, b"Host: [::1]:80").host == b"[::1]:80"
    assert refusal(OLD, b"Host:") == (400, "bad_host")
    assert refusal(OLD, HOST, HOST) == (400, "bad_host")


def test_P21_the_authority_of_an_absolute_target_is_the_host() -> None:
    head = parse(b"GET http://B:80/p?q HTTP/1.1", b"Host: b")
    assert (head.host, head.target, head.path, head.query) == (b"B:80", b"/p?q", b"/p", b"q")
    assert parse(b"GET http://b/p HTTP/1.0").host == b"b"


@pytest.mark.parametrize("lines", [(b"Host: a",), (), (b"Host: b:81",)])
def test_P21_a_host_that_differs_is_refused(lines: tuple[bytes, ...]) -> None:
    assert refusal(b"GET http://b/p HTTP/1.1", *lines) == (400, "bad_host")


def test_P21_a_host_that_differs_is_refused_in_http_1_0_too() -> None:
    assert refusal(b"GET http://b/p HTTP/1.0", HOST) == (400, "bad_host")


# -- framing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "length", "chunked"),
    [
        ((), -1, False),
        ((b"Content-Length: 0",), 0, False),
        ((b"content-length:003",), 3, False),
        ((b"Content-Length: \t3 ",), 3, False),
        ((b"Transfer-Encoding: chunked",), -1, True),
        ((b"transfer-encoding:\tChUnKeD ",), -1, True),
    ],
)
def test_P08_what_a_head_says_of_its_body(
    lines: tuple[bytes, ...], length: int, chunked: bool
) -> None:
    for first in (LINE, LINE.replace(b"GET", b"POST"), LINE.replace(b"GET", b"HEAD")):
        head = parse(first, HOST, *lines)
        assert (head.length, head.chunked) == (length, chunked)
        assert head.has_body == (chunked or length > 0)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 3", b"Content-Length: 3"),
        (b"Content-Length: 3", b"Content-Length: 4"),
        (b"Content-Length: 3,3",),
        (b"Content-Length: +3",),
        (b"Content-Length:",),
        (b"Content-Length: 9223372036854775808",),
        (b"Content-Length: 3", b"Content-Length:"),
    ],
)
def test_P07_lengths_that_are_not_exactly_one_number_are_refused(lines: tuple[bytes, ...]) -> None:
    assert refusal(LINE, HOST, *lines) == (400, "bad_framing")


@pytest.mark.parametrize("coding", [b"chunked", b"identity", b"gzip, chunked", b""])
def test_P04_a_length_and_a_coding_are_refused(coding: bytes) -> None:
    lines = [b"Transfer-Encoding: " + coding, b"Content-Length: 3"]
    assert refusal(LINE, HOST, *reversed(lines)) == (400, "bad_framing")
    assert refusal(LINE, HOST, *lines)[1] == "bad_framing"


@pytest.mark.parametrize("lines", [(), (b"Connection: keep-alive",)])
def test_P05_a_coding_in_http_1_0_is_refused(lines: tuple[bytes, ...]) -> None:
    assert refusal(OLD, HOST, b"Transfer-Encoding: chunked", *lines) == (400, "bad_framing")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((b"Transfer-Encoding: gzip, chunked",), 501),
        ((b"Transfer-Encoding: identity",), 501),
        ((b"Transfer-Encoding: chunked, chunked",), 400),
        ((b"Transfer-Encoding:",), 400),
        ((b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        ((b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"), 400),
        ((b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"), 501),
    ],
)
def test_P06_a_coding_that_is_not_exactly_chunked_is_refused(
    lines: tuple[bytes, ...], status: int
) -> None:
    assert refusal(LINE, HOST, *lines) == (status, "bad_framing")


# -- the connection --------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "lines", "keep_alive"),
    [
        (LINE, (), True),
        (LINE, (b"Connection: Close",), False),
        (LINE, (b"Connection: x, close",), False),
        (LINE, (b"Connection: keep-alive", b"Connection: close"), False),
        (LINE, (b"Connection: closed",), True),
        (OLD, (), False),
        (OLD, (b"Connection: Keep-Alive",), True),
        (OLD, (b"Connection: keep-alive, close",), False),
    ],
)
def test_a_connection_stays_open_or_not(
    first: bytes, lines: tuple[bytes, ...], keep_alive: bool
) -> None:
    assert parse(first, HOST, *lines).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("first", "lines", "upgrade"),
    [
        (LINE, (b"Connection: Upgrade", b"Upgrade: WebSocket"), b"WebSocket"),
        (LINE, (b"Upgrade: websocket",), b""),
        (LINE, (b"Upgrade: websocket", b"Connection: close"), b""),
        (LINE, (b"Connection: upgrade",), b""),
        (OLD, (b"Connection: upgrade", b"Upgrade: websocket"), b""),
        (LINE, (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), b""),
        (LINE, (b"Connection: upgrade", b"Upgrade: h2c, websocket"), b"websocket"),
        (LINE, (b"Connection: upgrade", b"Upgrade: a", b"Upgrade: H2C", b"Upgrade: b"), b"a, b"),
    ],
)
def test_P18_an_upgrade_is_asked_for_in_http_1_1_and_by_connection(
    first: bytes, lines: tuple[bytes, ...], upgrade: bytes
) -> None:
    head = parse(first, HOST, *lines, b"Content-Length: 3")
    assert (head.upgrade, head.length, head.kept) == (upgrade, 3, [])


def test_P15_continue_is_expected_in_http_1_1_only() -> None:
    assert with_line(b"Expect: 100-Continue").expect
    assert not with_line().expect
    assert not parse(OLD, b"Expect: 100-continue").expect


@pytest.mark.parametrize("value", [b"200-ok", b"", b"100-continue, x", b"100-continue;q"])
def test_P15_nothing_else_can_be_expected(value: bytes) -> None:
    assert refusal(LINE, HOST, b"Expect: " + value) == (417, "bad_expectation")


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        ((b"TE: trailers",), True),
        ((b"TE: gzip", b"te: x, Trailers"), True),
        ((b"TE: gzip",), False),
    ],
)
def test_P03_trailers_are_asked_for_by_te(lines: tuple[bytes, ...], asked: bool) -> None:
    head = with_line(*lines)
    assert (head.te_trailers, head.kept) == (asked, [])


# -- what the routing looks at ---------------------------------------------------

WANTED = frozenset({b"x-user-id", b"cookie", b"x-group"})


def test_wanted_values_are_found_and_their_lines_pass() -> None:
    lines = [b"X-USER-ID: alice", b"Other: 1", b"x-group:\xe9 b"]
    head = with_line(*lines, wanted=WANTED)
    assert head.single == {b"x-user-id": b"alice", b"x-group": b"\xe9 b"}
    assert head.kept == lines
    assert head.twice == frozenset()


def test_A10_of_two_values_none_counts() -> None:
    lines = [b"X-User-Id: alice", b"x-user-id: alice", b"X-User-Id: eve", b"X-Group: a"]
    head = with_line(*lines, wanted=WANTED)
    assert head.single == {b"x-group": b"a"}
    assert head.twice == {b"x-user-id"}
    assert head.kept == lines


def test_all_cookies_are_one() -> None:
    head = with_line(b"Cookie: a=1", b"X: 1", b"cookie:b=2 ", wanted=WANTED)
    assert head.single == {b"cookie": b"a=1; b=2"}
    assert head.kept == [b"Cookie: a=1", b"X: 1", b"cookie: b=2"]


def test_A10_blanks_of_other_alphabets_are_part_of_a_value() -> None:
    head = with_line(b"X-User-Id: \x85admin\xa0", wanted=WANTED)
    assert head.single == {b"x-user-id": b"\x85admin\xa0"}


def test_an_empty_value_is_a_value() -> None:
    assert with_line(b"X-User-Id: ", wanted=WANTED).single == {b"x-user-id": b""}


def test_fields_that_mean_more_to_us_can_be_wanted_too() -> None:
    wanted = frozenset({b"host", b"x-request-id", b"x-graygate-override", b"via", b"x-user-id"})
    head = with_line(
        b"X-Request-Id:  7 ",
        b"x_request_id: 8",
        b"X-Graygate-Override: o",
        b"Via: a",
        b"via: b",
        b"X-User-Id: alice",
        wanted=wanted,
    )
    assert head.single == {
        b"host": b"a.example",
        b"x-request-id": b"7",
        b"x-graygate-override": b"o",
        b"x-user-id": b"alice",
    }
    assert head.twice == {b"via"}
    assert head.kept == [b"X-User-Id: alice"]


def test_A11_lines_that_tell_who_asks_are_set_apart_in_their_order() -> None:
    head = with_line(b"X-Forwarded-For: a", b"X: 1", b"x_forwarded_for:b", b"Via:  c ")
    assert head.special == [
        (b"x-forwarded-for", b"a", b"X-Forwarded-For: a"),
        (b"via", b"c", b"Via: c"),
    ]
    assert head.kept == [b"X: 1"]
    assert with_line(b"X: 1").special is None


# -- limits ----------------------------------------------------------------------


def test_P25_the_head_may_be_as_large_as_its_limit() -> None:
    limits = Limits(head_bytes=100)
    lines = (LINE, HOST, b"X: " + b"a" * (100 - len(LINE) - len(HOST) - 4 - 3))
    assert len(b"\r\n".join(lines)) == 100
    assert parse(*lines, limits=limits).host
    assert refusal(*lines[:2], lines[2] + b"a", limits=limits) == (431, "head_too_large")


def test_P25_there_may_be_as_many_lines_as_the_limit_says() -> None:
    limits = Limits(head_lines=3)
    assert len(parse(LINE, HOST, b"X: 1", b"X: 2", limits=limits).kept) == 2
    assert refusal(LINE, HOST, *[b"X: 1"] * 3, limits=limits) == (431, "head_too_large")


def test_P25_the_first_line_may_be_as_long_as_its_limit() -> None:
    limits = Limits(line_bytes=20)
    assert parse(b"GET /234567 HTTP/1.1", HOST, limits=limits).host
    assert refusal(b"GET /2345678 HTTP/1.1", HOST, limits=limits) == (414, "line_too_long")


@pytest.mark.parametrize("line", [b"X : a", b" X: a", b"X", b"X: a\nY: b", b"X: a\rb", b"X: \x00"])
def test_P09_a_line_that_is_none_refuses_the_request(line: bytes) -> None:
    assert refusal(LINE, HOST, line) == (400, "bad_header")
    assert refusal(LINE, HOST, b"X: 1", line, b"Y: 2") == (400, "bad_header")


def test_a_refusal_says_whose_fault_it_was_and_repeats_nothing() -> None:
    with pytest.raises(DownstreamError) as caught:
        parse(LINE, HOST, b"Authorization : canary")
    assert caught.value.source is Source.DOWNSTREAM
    assert "canary" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_query_is_not_remembered() -> None:
    memo = LineMemo()
    for target in (b"/p?key=canary", b"/p", b"/" + b"a" * 300):
        parse_request(b"GET " + target + b" HTTP/1.1\r\nHost: a", memo, LIMITS)
    assert list(memo.request_lines) == [b"GET /p HTTP/1.1"]


def test_a_head_whose_lines_are_all_remembered_is_read_once() -> None:
    memo = LineMemo(frozenset({b"x-user-id"}))
    raw = b"\r\n".join((LINE, HOST, b"X-User-Id: alice", b"Via: 1.1 x", b"Y: 1"))
    seen = [parse_request(raw, memo, LIMITS) for _ in range(4)]
    assert seen[3] is seen[2] is not seen[0]
    assert [one.kept for one in seen] == [[b"X-User-Id: alice", b"Y: 1"]] * 4
    assert [one.single for one in seen] == [{b"x-user-id": b"alice"}] * 4


@pytest.mark.parametrize(
    "lines",
    [
        (LINE, HOST, b"Authorization: Bearer canary"),
        (LINE, HOST, b"Cookie: canary"),
        (b"GET /p?key=canary HTTP/1.1", HOST),
    ],
)
def test_A14_a_head_with_a_secret_is_not_remembered(lines: tuple[bytes, ...]) -> None:
    memo = LineMemo(frozenset({b"authorization", b"cookie"}))
    for _ in range(4):
        parse_request(b"\r\n".join(lines), memo, LIMITS)
    assert not memo.request_heads


def test_heads_are_not_remembered_without_end_nor_when_they_are_long() -> None:
    memo = LineMemo()
    for number in range(3000):
        for _ in range(3):
            parse_request(b"\r\n".join((LINE, HOST, b"X: %d" % number)), memo, LIMITS)
    assert 0 < len(memo.request_heads) <= 2048
    long = b"\r\n".join((LINE, HOST, *(b"X-%d: %b" % (n, b"a" * 200) for n in range(6))))
    for _ in range(4):
        parse_request(long, memo, LIMITS)
    assert long not in memo.request_heads


def test_first_lines_are_not_remembered_without_end() -> None:
    memo = LineMemo(entries=8)
    for number in range(1000):
        parse_request(b"GET /%d HTTP/1.1\r\nHost: a" % number, memo, LIMITS)
        assert len(memo.request_lines) <= 4


# -- how heads of one connection begin ---------------------------------------------

USUAL = (
    *(HOST, b"Accept: a", b"Connection: keep-alive, X-Away", b"X-Away: 1", b"X-User-Id: alice"),
    *(b"Via: 1.1 x", b"TE: trailers", b"Accept-Encoding: b"),
)


def begun(memo: LineMemo, *lines: bytes) -> Start:
    """That of a head which goes on with something secret."""
    raw = b"\r\n".join((LINE, *(lines or USUAL), b"Authorization: canary", b"X: 1"))
    for _ in range(3):
        head = parse_request(raw, memo, LIMITS)
    assert head.start is not None
    return head.start


def told(head: RequestHead) -> list[object]:
    names = [name for name in dir(head) if name[0] != "_" and name not in ("line", "start")]
    assert {"kept", "length", "single", "target"} <= set(names)
    return [getattr(head, name) for name in names]


@pytest.mark.parametrize("first", [LINE, OLD, b"POST /p?q=1 HTTP/1.1", b"GET http://b/ HTTP/1.1"])
@pytest.mark.parametrize(
    "rest",
    [
        (),
        (b"Authorization: other", b"Content-Length: 5"),
        (b"X: a", b"X:  b ", b"Cookie: c", b"cookie: d"),
        (HOST,),
        (b"X-User-Id: eve",),
        (b"Connection: close, Accept-Encoding", b"Upgrade: websocket"),
        (b"Transfer-Encoding: chunked", b"Expect: 100-continue"),
        (b"Content-Length: 1", b"Content-Length: 1"),
        (b"Accept-Encoding",),
        (b" folded",),
        (b"x-forwarded-for: a", b"X-Away: 2"),
    ],
)
@pytest.mark.parametrize("usual", [USUAL, USUAL[1:], (*USUAL[:3], b"X: 1", *USUAL[3:]), ()])
def test_a_head_says_the_same_whatever_came_before_it(
    first: bytes, rest: tuple[bytes, ...], usual: tuple[bytes, ...]
) -> None:
    names = frozenset({b"x-user-id", b"cookie"})
    memo = LineMemo(names)
    start = begun(memo)
    raw = b"\r\n".join((first, *usual, *rest))
    for _ in range(3):
        try:
            expected = told(parse_request(raw, LineMemo(names), LIMITS))
        except DownstreamError as error:
            with pytest.raises(DownstreamError) as caught:
                parse_request(raw, memo, LIMITS, start)
            assert (caught.value.status, caught.value.code) == (error.status, error.code)
        else:
            assert told(parse_request(raw, memo, LIMITS, start)) == expected


def test_heads_of_one_kind_of_client_share_their_start() -> None:
    memo = LineMemo()
    start = begun(memo)
    assert begun(memo) is start
    assert start.bytes == b"\r\n".join((*USUAL, b""))
    assert repr(start) == "<Start of 8 lines>"
    raw = b"\r\n".join((LINE, *USUAL, b"Authorization: b"))
    assert parse_request(raw, memo, LIMITS, start).start is start


def test_A14_no_start_holds_a_secret() -> None:
    memo = LineMemo(frozenset({b"authorization"}))
    begun(memo)
    begun(memo, *USUAL[:5])
    assert len(memo.starts) == 2
    assert not any(b"canary" in raw for raw in memo.starts)


def test_a_line_that_only_begins_like_one_of_the_start_is_read_as_it_is() -> None:
    memo = LineMemo()
    start = begun(memo)
    raw = b"\r\n".join((LINE, *USUAL)) + b"cd"
    assert parse_request(raw, memo, LIMITS, start).kept[-1] == b"Accept-Encoding: bcd"


def test_P25_lines_of_the_start_count() -> None:
    memo = LineMemo()
    start = begun(memo)
    raw = b"\r\n".join((LINE, *USUAL, b"Cookie: a", b"Cookie: b"))
    assert parse_request(raw, memo, Limits(head_lines=10), start)
    with pytest.raises(DownstreamError) as caught:
        parse_request(raw, memo, Limits(head_lines=9), start)
    assert caught.value.status == 431


def test_a_start_is_of_no_use_where_other_fields_are_wanted() -> None:
    start = begun(LineMemo())
    memo = LineMemo(frozenset({b"x-user-id"}))
    head = parse_request(b"\r\n".join((LINE, *USUAL, b"Cookie: a")), memo, LIMITS, start)
    assert head.single == {b"x-user-id": b"alice"}
    assert head.start is not start


def test_starts_are_not_remembered_without_end() -> None:
    memo = LineMemo()
    for number in range(1000):
        begun(memo, *USUAL, b"X-Number: %d" % number)
    assert 0 < len(memo.starts) <= 256


def test_a_head_says_what_it_is() -> None:
    assert repr(parse(b"GET /p?key=canary HTTP/1.1", HOST)) == "<RequestHead GET b'/p' HTTP/1.1>"
