"""Answers tampered with: what we pass on, clients read as we do."""

from __future__ import annotations

import h11
import httptools
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.http1.chunks import ChunkError, ChunkScanner
from gateway.http1.framing import Framing, body_of
from gateway.http1.head import ResponseHeadBuffer
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.response import ResponseHead, parse_response
from tests.http1.fuzzing import FUZZ, chunked, fuzz, tampered
from tests.http1.wire import cut

LIMITS = Limits()
LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 404 \xe9",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
]
FIELDS = [
    b"Date: now",
    b"Server: uvicorn",
    b"Set-Cookie: a=b",
    b"Set-Cookie: c=d",
    b"X-Blanks:  a \t",
    b"X-Latin: \xe9\xff",
    b"Connection: close",
    b"Connection: x, keep-alive",
    b"Keep-Alive: timeout=5",
    b"Trailer: ETag",
    b"Upgrade: h2c",
    b"Content-Type: text/event-stream",
]


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer that may be passed on, or nearly so."""
    lines = draw(st.lists(st.sampled_from(FIELDS), max_size=5))
    body = draw(st.binary(max_size=20))
    kind = draw(st.sampled_from(["close", "length", "chunked"]))
    if kind == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif kind == "chunked":
        body = draw(chunked())
        lines.append(b"Transfer-Encoding: chunked")
    lines = list(draw(st.permutations(lines)))
    return b"\r\n".join([draw(st.sampled_from(LINES)), *lines, b"", body])


def read(data: bytes, size: int, method: str) -> tuple[ResponseHead, bytes] | None:
    """The head and what is sent on of the body; None = refused, or not there until the end."""
    buffer, scanner = ResponseHeadBuffer(LIMITS), ChunkScanner(LIMITS)
    parts = cut(data, size)
    for part in parts:
        if found := buffer.feed(part):
            break
    else:
        return None
    head = parse_response(found[0], LineMemo(), LIMITS)
    body = found[1] + b"".join(parts)
    framing = body_of(head, method)
    if framing is Framing.LENGTH:
        return (head, body[: head.length]) if len(body) >= head.length else None
    if framing is Framing.CHUNKED:
        body = scanner.feed(body)
        return (head, body) if scanner.is_done else None
    return head, body if framing is Framing.UNTIL_CLOSE else b""


def verdict(data: bytes, size: int, method: str) -> tuple[ResponseHead, bytes] | None:
    try:
        return read(data, size, method)
    except (UpstreamProtocolError, ChunkError):
        return None


def sent(head: ResponseHead, body: bytes, method: str) -> bytes:
    """What the client gets."""
    lines = [head.status_line, *head.kept]
    framing = body_of(head, method)
    if framing is Framing.LENGTH or (head.length >= 0 and head.status != 204):
        lines.append(b"Content-Length: %d" % head.length)
    elif framing is Framing.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join([*lines, b"", body])


def by_h11(data: bytes, method: str) -> tuple[int, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")  # the end of the connection
    status, body = 0, b""
    while True:
        event = client.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert client.trailing_data == (b"", True)
            return status, body
        else:
            raise AssertionError(f"{data!r} is no answer: {event}")


class Listener:
    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        assert not self.is_complete
        self.is_complete = True


def by_httptools(data: bytes) -> tuple[int, bytes]:
    listener = Listener()
    parser = httptools.HttpResponseParser(listener)
    parser.feed_data(data)
    return parser.get_status_code(), listener.body


@fuzz
@FUZZ
@given(tampered(answers()), st.sampled_from(["GET", "HEAD"]))
def test_clients_read_what_we_pass_on_as_we_do(data: bytes, method: str) -> None:
    found = verdict(data, 0, method)
    for size in (1, 3):
        again = verdict(data, size, method)
        assert (again and (again[0].kept, again[1])) == (found and (found[0].kept, found[1]))
    if found is None or found[0].status < 200:
        return
    head, body = found
    wire = sent(head, body, method)
    framing = body_of(head, method)
    status, content = by_h11(wire, method)
    assert status == head.status
    if framing is not Framing.CHUNKED:
        assert content == body
    if method != "HEAD":  # llhttp cannot be told
        assert by_httptools(wire) == (status, content)
