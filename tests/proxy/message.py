"""A strict reader of HTTP/1.1, for tests alone: whatever is not canonical fails the test.

It is written a second time on purpose. The gateway's own parser must not judge itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.proxy.link import Link

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t -~\x80-\xff]*)")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.1")
_FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):"
    rb"(?: ?([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)| ?)"
)
_SIZE = re.compile(rb"(0|[1-9A-Fa-f][0-9A-Fa-f]{0,7})\r\n")

Fields = tuple[tuple[str, str], ...]


class NotStrict(AssertionError):
    """The other side sent what a careful reader refuses."""


@dataclass(frozen=True)
class Message:
    """What requests and answers have in common."""

    head: bytes
    fields: Fields
    body: bytes = b""
    trailer: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of a field, in order; the case of the name does not matter."""
        return [value for known, value in self.fields if known.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of a field that may come once at most."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        return {name.lower() for name, _ in self.fields}

    @property
    def closes(self) -> bool:
        options = ",".join(self.all("connection")).lower().split(",")
        return "close" in {option.strip() for option in options}


@dataclass(frozen=True)
class Request(Message):
    method: str = ""
    target: str = ""


@dataclass(frozen=True)
class Answer(Message):
    status: int = 0
    reason: str = ""
    interim: tuple[Answer, ...] = field(default=())

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def code(self) -> str:
        """The gateway's own code, out of an error in the default dialect."""
        assert self.one("content-type") == "application/problem+json", self
        found: str = self.json["code"]
        return found


def _must(is_so: bool, what: str, seen: bytes) -> None:
    if not is_so:
        raise NotStrict(f"{what}: {seen[:300]!r}")


def _fields(lines: list[bytes]) -> Fields:
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        _must(found is not None, "no field line", line)
        assert found is not None
        fields.append((found[1].decode(), (found[2] or b"").decode("latin-1")))
    return tuple(fields)


def parse_request(head: bytes) -> Request:
    """The head of a request as a model gets it; the body is yet to come."""
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    _must(found is not None, "no request line", line)
    assert found is not None
    request = Request(head, _fields(lines), method=found[1].decode(), target=found[2].decode())
    _must(len(request.all("host")) == 1, "not exactly one Host", head)
    _check_framing(request)
    return request


def _check_framing(message: Message) -> None:
    lengths, codings = message.all("content-length"), message.all("transfer-encoding")
    _must(len(lengths) + len(codings) < 2, "framed more than once", message.head)
    _must(codings in ([], ["chunked"]), "a coding that is not just chunked", message.head)
    _must(all(re.fullmatch(r"0|[1-9][0-9]*", one) for one in lengths), "no length", message.head)


async def read_body(link: Link, message: Message) -> tuple[bytes, bytes]:
    """The body, and the trailer section without its last line."""
    if (length := message.one("content-length")) is not None:
        return await link.exactly(int(length)), b""
    return await read_chunked(link) if message.all("transfer-encoding") else (b"", b"")


async def read_chunked(link: Link) -> tuple[bytes, bytes]:
    body = bytearray()
    while data := await read_chunk(link):
        body += data
    trailer = b""
    while (line := await link.through(b"\r\n")) != b"\r\n":
        _fields([line[:-2]])
        trailer += line
    return bytes(body), trailer


async def read_chunk(link: Link) -> bytes:
    """The data of one chunk; b"" is that of the last one, whose trailer is yet to come."""
    line = await link.through(b"\r\n")
    found = _SIZE.fullmatch(line)
    _must(found is not None, "no chunk size", line)
    assert found is not None
    size = int(found[1], 16)
    if not size:
        return b""
    data = await link.exactly(size + 2)
    _must(data.endswith(b"\r\n"), "a chunk that goes on behind its end", data[-20:])
    return data[:-2]


async def read_head(link: Link) -> Answer:
    """The head of an answer, interim ones included; the body is yet to come."""
    head = await link.through(b"\r\n\r\n")
    line, *lines = head[:-4].split(b"\r\n")
    found = _STATUS_LINE.fullmatch(line)
    _must(found is not None, "no status line", line)
    assert found is not None
    answer = Answer(head, _fields(lines), status=int(found[1]), reason=found[2].decode("latin-1"))
    _check_framing(answer)
    if answer.status < 200 or answer.status == 204:
        framed = {"content-length", "transfer-encoding"} & answer.names
        _must(not framed, "a bodiless answer that is framed (P-34)", head)
    return answer


async def read_answer(link: Link, method: str = "GET") -> Answer:
    """The next final answer, with the interim ones before it; its body must come complete."""
    interim = []
    while (answer := await read_head(link)).status < 200 and answer.status != 101:
        interim.append(answer)
    body, trailer = b"", b""
    if method == "HEAD" or answer.status in (101, 204, 304):
        pass
    elif answer.names & {"content-length", "transfer-encoding"}:
        body, trailer = await read_body(link, answer)
    else:
        _must(answer.closes, "neither framed nor closed", answer.head)
        body = await link.to_end()
    return Answer(
        answer.head, answer.fields, body, trailer, answer.status, answer.reason, tuple(interim)
    )
