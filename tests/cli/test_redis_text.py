from __future__ import annotations

import pytest

from gateway.cli.redis_text import Reply, printed, raw, split_line
from gateway.errors import StoreError


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b" \t\r\n", []),
        (b"SET a  b\n", [b"SET", b"a", b"b"]),
        (b'"a b" ""', [b"a b", b""]),
        (rb'"\n\r\t\b\a\\\"\q"', [b'\n\r\t\b\a\\"q']),
        (rb'"\x00\xfF\x4" "\x"', [b"\x00\xffx4", b"x"]),
        (rb"'\n it\'s'", [rb"\n it's"]),
        (b'a"b c"', [b"ab c"]),
        ("日本".encode(), ["日本".encode()]),
    ],
)
def test_a_line_is_split_as_redis_cli_splits_it(line: bytes, words: list[bytes]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    "line", [b'"', b'"a', b"'a", b'"a\\', b'"a\\"', b"'a\\'", b'"a"b', b"'a'b"]
)
def test_an_open_quote_or_text_after_one_is_a_mistake(line: bytes) -> None:
    with pytest.raises(ValueError, match="quote"):
        split_line(line)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (None, "(nil)"),
        (True, "(true)"),
        (7, "(integer) 7"),
        (1.5, "(double) 1.5"),
        (b'a"\\\n\x00\xc3', r'"a\"\\\n\x00\xc3"'),
        ([], "(empty array)"),
        ([[b"a", None], b"b"], '1) 1) "a"\n   2) (nil)\n2) "b"'),
        ({b"a": {b"b": 1}}, '1) "a"\n2) 1) "b"\n   2) (integer) 1'),
        ({b"x"}, '1) "x"'),
        (StoreError("a sentence", "ERR raw words"), "(error) ERR raw words"),
        (StoreError("a sentence"), "(error) a sentence"),
    ],
)
def test_a_reply_is_printed_with_its_type(reply: Reply, text: str) -> None:
    assert printed([b"X"], reply).decode() == text + "\n"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (None, b"\n"),
        (False, b"false\n"),
        (7, b"7\n"),
        (1.5, b"1.5\n"),
        (b"\xff", b"\xff\n"),
        (b"report\n", b"report\n"),
        ([b"a", [None, 1]], b"a\n\n1\n"),
        ({b"a": 1}, b"a\n1\n"),
        ([StoreError("", "ERR x")], b"ERR x\n"),
    ],
)
def test_a_raw_reply_is_its_values_line_by_line(reply: Reply, text: bytes) -> None:
    assert raw(reply) == text


@pytest.mark.parametrize(
    ("command", "reply", "text"),
    [
        (b"SET k v", b"OK", b"OK\n"),
        (b"GET k", b"OK", b'"OK"\n'),
        (b"get k", b"OK", b'"OK"\n'),
        (b"GET k", b"QUEUED", b"QUEUED\n"),
        (b"PING", b"PONG", b"PONG\n"),
        (b"PING hi", b"hi", b'"hi"\n'),
        (b"type k", b"hash", b"hash\n"),
        (b"INFO server", b"a:1\r\nb:2\r\n", b"a:1\r\nb:2\r\n"),
        (b"client list", b"id=1\n", b"id=1\n"),
        (b"CLIENT GETNAME", b"me", b'"me"\n'),
    ],
)
def test_a_status_or_a_report_has_no_quotes(command: bytes, reply: bytes, text: bytes) -> None:
    assert printed(command.split(), reply) == text
