from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator

import pytest

from gateway.http1 import lines
from gateway.http1.lines import (
    CODING,
    CONNECTION,
    DATE,
    DROPPED,
    HOP_BY_HOP,
    HOST,
    IDENTITY,
    IDENTITY_NAMES,
    LENGTH,
    PLAIN_FIELD,
    REWRITTEN,
    TE,
    WANTED,
    BadLine,
    LineMemo,
    is_ordinary,
    merged,
    split_line,
    without,
)
from gateway.http1.values import Coding

TOKEN = b"!#$%&'*+-.^_`|~09azAZ"


# A memo reads the first line of a name in one way and those after it in another.
@pytest.fixture(params=["first", "second"])
def memo(request: pytest.FixtureRequest) -> LineMemo:
    memo = LineMemo(frozenset({b"x-user-id", b"cookie", b"x_odd"}))
    if request.param == "second":
        for name in (b"X-Seen", b"X", b"Host", b"Connection", b"X-User-Id", TOKEN):
            memo.learn(name + b": before")
    return memo


# -- what is a line --------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"X: a",
        b"X:a",
        b"X:",
        b"X: a b\tc",
        b"X: :",
        b"X: a: b",
        b"X: \x80\x85\xa0\xe9\xff",
        b"X: \x85a\xa0",
        TOKEN + b": a",
        b"X: " + b"a" * 5000,
    ],
)
def test_P12_a_line_in_good_form_passes_as_it_came(memo: LineMemo, line: bytes) -> None:
    for _ in range(2):
        assert memo.learn(line) is PLAIN_FIELD


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        (b"X:  a \t", b"X: a"),
        (b"X: a ", b"X: a"),
        (b"X: a\t", b"X: a"),
        (b"X:\ta", b"X: a"),
        (b"X:  a", b"X: a"),
        (b"X:a ", b"X: a"),
        (b"X: ", b"X:"),
        (b"X: \t ", b"X:"),
        (b"x-CaSe: \ta\t b ", b"x-CaSe: a\t b"),
        (b"X: \xa0a\x85 ", b"X: \xa0a\x85"),
    ],
)
def test_P10_superfluous_blanks_are_left_out(memo: LineMemo, line: bytes, clean: bytes) -> None:
    for _ in range(2):
        field = memo.learn(line)
        assert (field.kind, field.line) == (REWRITTEN, clean)
    assert line not in memo.known


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b":",
        b": a",
        b"X",
        b"X a",
        b"X : a",
        b"X\t: a",
        b" X: a",
        b"\tX: a",
        b" folded",
        b"X Y: a",
        b"X\xe9: a",
        b"X\x00: a",
        b"X\x7f: a",
        b"\xef\xbb\xbfX: a",
        b"X: a\rb",
        b"X: a\nb",
        b"X: a\r",
        b"X: \na",
        b"X:\n",
        b"X: a\x00b",
        b"X: a\x00",
        b"X: \x00",
        b"X: \x00 ",
        b"X: a\x0bb",
        b"X: a\x1b[0m",
        b"X: a\x1f",
        b"X: a\x7fb",
        b"Host\x0b: a",
    ],
)
def test_P09_what_is_no_line_is_never_taken(memo: LineMemo, line: bytes) -> None:
    for _ in range(2):
        with pytest.raises(BadLine):
            memo.learn(line)
    assert line not in memo.known


@pytest.mark.parametrize("byte", range(256))
def test_P09_every_byte_is_right_or_wrong_in_a_name_and_in_a_value(byte: int) -> None:
    token = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]")
    text = bytes((byte,))
    for line, is_good in (
        (b"X" + text + b"Y: a", token.fullmatch(text) or text == b":"),
        (b"X: a" + text + b"b", byte == 0x09 or (byte >= 0x20 and byte != 0x7F)),
    ):
        for memo in (LineMemo(), _knowing(line.split(b":")[0])):
            if is_good:
                assert memo.learn(line) is PLAIN_FIELD
            else:
                with pytest.raises(BadLine):
                    memo.learn(line)


def _knowing(name: bytes) -> LineMemo:
    memo = LineMemo()
    if re.fullmatch(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        memo.learn(name + b": before")
    return memo


def test_a_line_is_split_into_name_and_value() -> None:
    assert split_line(b"X-CaSe: \t a ") == (b"X-CaSe", b"a")
    with pytest.raises(BadLine):
        split_line(b"X : a")


# -- what a line means -----------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"hOST: a", HOST),
        (b"CONTENT-length: 3", LENGTH),
        (b"transfer-ENCODING: chunked", CODING),
        (b"connection: close", CONNECTION),
        (b"TE: trailers", TE),
        (b"date: now", DATE),
        (b"Keep-Alive: timeout=5", DROPPED),
        (b"X-User-ID: alice", WANTED),
        (b"x_odd: alice", WANTED),
    ],
)
def test_a_name_means_the_same_in_any_case(memo: LineMemo, line: bytes, kind: int) -> None:
    for spelling in (line, line.swapcase()):
        assert memo.learn(spelling).kind == kind


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP - {b"connection", b"te", b"upgrade"}))
def test_P01_what_belongs_to_one_hop_does_not_pass(name: bytes) -> None:
    kind = LineMemo().learn(name + b": a").kind
    assert kind in (DROPPED, CODING)


@pytest.mark.parametrize(
    "line",
    [
        b"X_User_Id: eve",
        b"x_user-id: eve",
        b"x-odd: eve",
        b"x-ODD: eve",
        b"Content_Length: 5",
        b"Transfer_Encoding: chunked",
        b"Proxy_Connection: close",
        b"keep_alive: 1",
        b"http2_settings: x",
    ],
)
def test_A10_a_spelling_that_others_may_take_for_a_trusted_name_is_dropped(
    memo: LineMemo, line: bytes
) -> None:
    assert memo.learn(line).kind == DROPPED


@pytest.mark.parametrize("line", [b"X_Other: a", b"_: a", b"x__user_id: a", b"Content_Type: a"])
def test_other_names_with_an_underscore_pass(memo: LineMemo, line: bytes) -> None:
    assert memo.learn(line) is PLAIN_FIELD


@pytest.mark.parametrize("name", sorted(IDENTITY_NAMES | {b"x-graygate-version", b"x-graygate-"}))
def test_A11_A12_what_tells_who_asks_is_set_apart(name: bytes) -> None:
    for spelling in (name, name.upper()):
        field = LineMemo().learn(spelling + b": a")
        assert (field.kind, field.name, field.value) == (IDENTITY, name, b"a")
        assert field.line == spelling + b": a"
    for spelling in {name.replace(b"-", b"_"), name.replace(b"-", b"_", 1)} - {name}:
        assert LineMemo().learn(spelling + b": a").kind == DROPPED


def test_A12_names_of_ours_are_not_wanted_like_others() -> None:
    memo = LineMemo(frozenset({b"x-graygate-override", b"x-request-id", b"x-user-id"}))
    assert memo.learn(b"X-Graygate-Override: a").kind == IDENTITY
    assert memo.wanted_apart == {b"x-graygate-override", b"x-request-id"}


def test_what_a_special_line_says_is_read_once() -> None:
    memo = LineMemo()
    assert memo.learn(b"Content-Length: 007").length == 7
    assert memo.learn(b"Content-Length:  8 ").length == 8
    assert memo.learn(b"Content-Length: +7").length == -1
    assert memo.learn(b"Transfer-Encoding: Chunked").coding is Coding.CHUNKED
    assert memo.learn(b"Host: a").is_good
    assert not memo.learn(b"Host: a b").is_good
    assert memo.learn(b"TE: Trailers, gzip").options == {b"trailers", b"gzip"}


def test_P02_connection_removes_what_it_names_but_what_must_stay() -> None:
    memo = LineMemo(frozenset({b"x-user-id"}))
    field = memo.learn(
        b"Connection: close, X-Foo, keep-alive, Host, Content-Length, Transfer-Encoding, "
        b"Authorization, Cookie, X-User-Id, X-Forwarded-For, X-Request-Id, Via, x_bar"
    )
    assert field.nominated == {b"x-foo", b"x_bar"}
    assert {b"close", b"keep-alive", b"host"} <= field.options


def test_P02_several_connection_fields_say_what_one_would() -> None:
    memo = LineMemo()
    field = merged([memo.learn(b"Connection: close, a"), memo.learn(b"Connection: b,upgrade")])
    assert field.options == {b"close", b"a", b"b", b"upgrade"}
    assert field.nominated == {b"a", b"b"}


def test_lines_are_removed_by_whole_names_in_any_case() -> None:
    found = without([b"X-Foo: 1", b"x-foo:", b"X-Foo-Bar: 2", b"X: x-foo"], frozenset({b"x-foo"}))
    assert found == [b"X-Foo-Bar: 2", b"X: x-foo"]


def test_names_that_mean_something_are_not_ordinary() -> None:
    assert is_ordinary(b"x-anything")
    assert not any(map(is_ordinary, (b"host", b"via", b"x-graygate-x", b"trailer")))


# -- what is remembered ----------------------------------------------------------


@pytest.mark.parametrize("name", [b"x_request_id", b"X-Graygate-Version", b"content_length"])
def test_A10_names_that_mean_something_cannot_be_wanted_in_another_spelling(name: bytes) -> None:
    assert LineMemo(frozenset({name.lower()})).learn(name + b": a").kind in (IDENTITY, DROPPED)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many lines were matched against the full pattern so far."""
    calls = 0
    original = lines.split_line

    def counting(line: bytes) -> tuple[bytes, bytes]:
        nonlocal calls
        calls += 1
        return original(line)

    monkeypatch.setattr(lines, "split_line", counting)
    return lambda: calls


def test_a_line_that_is_remembered_is_the_line_that_was_checked() -> None:
    memo = LineMemo()
    memo.learn(b"Host: a")
    assert not memo.known  # a name may be one of those that never come again
    second = memo.learn(b"Host: a")
    assert memo.known == {b"Host: a": second}
    assert second.is_good


@pytest.mark.parametrize(
    "name",
    [
        b"Authorization",
        b"Proxy-Authorization",
        b"Cookie",
        b"Set-Cookie",
        b"X-Api-Key",
        b"api-key",
        b"X-Goog-Api-Key",
        b"Ocp-Apim-Subscription-Key",
        b"X-Auth-Token",
        b"X-Amz-Security-Token",
        b"Private-Token",
        b"X-Request-Id",
        b"traceparent",
        b"tracestate",
        b"X-Amzn-Trace-Id",
        b"Idempotency-Key",
        b"X_Api_Key",
    ],
)
def test_A14_secrets_and_what_never_comes_again_are_not_remembered(name: bytes) -> None:
    memo = LineMemo(frozenset({b"authorization"}))
    for canary in (b"canary-1", b"canary-2", b" canary-3 "):
        memo.learn(name + b": " + canary)
    for _ in range(2):
        memo.learn(b"Accept: seen")
    assert b"Accept: seen" in _held(memo)
    assert not any(b"canary" in line for line in _held(memo))


def _held(memo: LineMemo) -> Iterator[bytes]:
    """All bytes that the memo keeps alive."""
    seen: set[int] = set()
    left: list[object] = [memo]
    while left:
        one = left.pop()
        if isinstance(one, bytes):
            yield one
        elif id(one) not in seen and not isinstance(one, type):
            seen.add(id(one))
            left += gc.get_referents(one)


def test_long_lines_are_not_remembered() -> None:
    memo = LineMemo()
    for size in (256, 257):
        for _ in range(2):
            memo.learn(b"X: " + b"a" * (size - 3))
    assert [len(line) for line in memo.known] == [256]


def test_a_stranger_cannot_make_the_memo_grow() -> None:
    memo = LineMemo(entries=64)
    for number in range(10_000):
        memo.learn(b"X-%d: a" % number)
        memo.learn(b"X: %d" % number)
    assert len(list(_held(memo))) < 64 + 2 * 1024 + 200  # lines, names, what is fixed
    assert repr(memo) == f"<LineMemo {len(memo.known)}+32 of 64 lines>"


@pytest.mark.pure
def test_a_line_in_use_survives_a_stranger(counted: Callable[[], int]) -> None:
    memo = LineMemo(entries=64)
    memo.learn(b"X-Usual: a")
    before = counted()
    for number in range(1000):
        memo.learn(b"X-Other: %d" % number)
        assert (memo.known.get(b"X-Usual: a") or memo.learn(b"X-Usual: a")) is PLAIN_FIELD
    assert counted() - before == 1  # the first of X-Other


@pytest.mark.pure
def test_new_values_of_a_known_name_need_no_full_match(counted: Callable[[], int]) -> None:
    memo = LineMemo()
    for number in range(100):
        memo.learn(b"X-Usual: %d" % number)
    assert counted() == 1


@pytest.mark.pure
def test_long_names_are_not_remembered(counted: Callable[[], int]) -> None:
    memo = LineMemo()
    name = b"x" * 65
    for number in range(3):
        memo.learn(name + b": %d" % number)
    assert counted() == 3


def test_a_memo_of_nothing_still_reads() -> None:
    memo = LineMemo(entries=0)
    assert [memo.learn(b"X: %d" % number).kind for number in range(3)] == [0, 0, 0]


def test_a_field_says_what_it_is() -> None:
    assert repr(LineMemo().learn(b"Host: a")) == "<Field b'host' kind 4>"
