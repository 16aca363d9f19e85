from __future__ import annotations

import pytest

from gateway.http1.values import Coding, coding_of, is_host, length_of, members


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0),
        (b"3", 3),
        (b"003", 3),
        (b"000", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"0" * 50 + b"9223372036854775807", 2**63 - 1),
    ],
)
def test_P07_a_length_is_any_number_of_digits_that_is_not_too_large(
    value: bytes, length: int
) -> None:
    assert length_of(value) == length


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+3",
        b"-3",
        b"0x3",
        b"3,3",
        b"3;3",
        b"3.0",
        b"3e0",
        b"1_0",
        b" 3",
        b"3 ",
        b"3\x0b",
        b"\xd9\xa3",  # a digit in Arabic
        b"\xb2",  # digits in Latin-1
        b"9223372036854775808",
        b"18446744073709551616",
        b"1" * 5000,
    ],
)
def test_P07_anything_else_is_no_length(value: bytes) -> None:
    assert length_of(value) == -1


@pytest.mark.parametrize("value", [b"chunked", b"ChUnKeD"])
def test_P06_exactly_chunked_is_chunked(value: bytes) -> None:
    assert coding_of(value) is Coding.CHUNKED


@pytest.mark.parametrize(
    "value", [b"gzip", b"identity", b"gzip, chunked", b"chunked, gzip", b"xchunked", b"'chunked"]
)
def test_P06_a_coding_that_is_not_spoken_here_is_told_from_nonsense(value: bytes) -> None:
    assert coding_of(value) is Coding.UNKNOWN


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b",chunked",
        b"chunked,",
        b"chunked, chunked",
        b'"x, chunked',
        b"chunked;q=1",
        b"chunked\x0b",
        b"chunked\xff",
        b"\x0bchunked",
        b"chun ked",
    ],
)
def test_P06_nonsense_is_no_coding(value: bytes) -> None:
    assert coding_of(value) is Coding.WRONG


@pytest.mark.parametrize(
    "value",
    [
        b"a",
        b"models.example.com",
        b"a_b-c.example",
        b"a:80",
        b"a:0",
        b"a:65535",
        b"127.0.0.1:8080",
        b"[::1]",
        b"[::1]:80",
        b"[2001:db8::192.0.2.1]:443",
        b"a" * 255,
    ],
)
def test_P20_hosts(value: bytes) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a, b",
        b"a,b",
        b"a b",
        b"u@a",
        b"a/b",
        b"u@a/b?c#d",
        b"a?b",
        b"a:b",
        b"a:99999",
        b"a:65536",
        b"a:000080",
        b"a:+80",
        b":80",
        b"a:80:80",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[v1.x]",
        b"[::1]a",
        b"[::1%25eth0]",
        b"a\xe9",
        b"a%41",
        b"a\x00",
        b"a\\b",
        b"a" * 256,
    ],
)
def test_P20_what_is_no_host(value: bytes) -> None:
    assert not is_host(value)


def test_the_members_of_a_list_are_lower_case_and_none_is_empty() -> None:
    assert members(b"Close, ,X-Foo\t,,  te") == [b"close", b"x-foo", b"te"]
    assert members(b"") == []


def test_blanks_are_those_of_http_only() -> None:
    assert members(b"\x85a\xa0, \x0bb") == [b"\x85a\xa0", b"\x0bb"]
