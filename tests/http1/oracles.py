"""The same bytes as h11 and httptools (llhttp) read them: what most Python servers are built on."""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
import httptools

from tests.http1.wire import read


@dataclass
class Message:
    """One request as a server reads it."""

    method: bytes = b""
    target: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)  # names in lower case
    body: bytes = b""


@dataclass
class Verdict:
    """What a reader makes of a connection's bytes."""

    messages: list[Message]  # those that are complete
    error: str = ""
    is_open: bool = False  # whether it waits for the rest of a message

    @property
    def is_whole(self) -> bool:
        return not self.error and not self.is_open

    @property
    def bodies(self) -> list[tuple[bytes, bytes]]:
        return [(message.method, message.body) for message in self.messages]


def by_h11(data: bytes) -> Verdict:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    if data:  # nothing would mean the end of the connection
        connection.receive_data(data)
    verdict = Verdict([])
    message = Message()
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                message = Message(event.method, event.target, list(event.headers))
            elif isinstance(event, h11.Data):
                message.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                verdict.messages.append(message)
                connection.send(h11.Response(status_code=200, headers=[(b"Content-Length", b"0")]))
                connection.send(h11.EndOfMessage())
            elif event is h11.PAUSED and connection.our_state is h11.DONE:
                connection.start_next_cycle()
            else:
                break
    except h11.RemoteProtocolError as error:
        verdict.error = str(error)
    left, _ = connection.trailing_data
    is_between = connection.their_state in (h11.IDLE, h11.DONE, h11.MUST_CLOSE)
    verdict.is_open = not verdict.error and (not is_between or bool(left.lstrip(b"\r\n")))
    return verdict


class _Listener:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.message: Message | None = None
        self.parser: httptools.HttpRequestParser | None = None

    def on_message_begin(self) -> None:
        self.message = Message()

    def on_url(self, url: bytes) -> None:
        assert self.message
        self.message.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self.message
        self.message.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self.message and self.parser
        self.message.method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        assert self.message
        self.message.body += body

    def on_message_complete(self) -> None:
        assert self.message
        self.messages.append(self.message)
        self.message = None


def by_httptools(data: bytes) -> Verdict:
    listener = _Listener()
    listener.parser = httptools.HttpRequestParser(listener)
    error = ""
    try:
        listener.parser.feed_data(data)
    except httptools.HttpParserError as problem:
        error = str(problem) or type(problem).__name__
    except httptools.HttpParserUpgrade:
        error = "upgrade"
    return Verdict(listener.messages, error, not error and listener.message is not None)


def by_us(data: bytes, size: int = 0) -> Verdict:
    """What the gateway reads; the bodies without their chunks."""
    seen = read(data, size)
    messages = [
        Message(
            head.method.encode(),
            head.target,
            [],
            _content(body) if head.chunked else body,
        )
        for head, body in zip(seen.heads, seen.bodies, strict=False)
    ]
    return Verdict(messages, seen.text, seen.open)


def _content(canonical: bytes) -> bytes:
    content = b""
    while True:
        line, _, rest = canonical.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            assert rest == b"\r\n"
            return content
        content += rest[:size]
        assert rest[size : size + 2] == b"\r\n"
        canonical = rest[size + 2 :]
