"""What two other parsers make of the bytes that a model was sent."""

from __future__ import annotations

from typing import Any

import h11
import httptools

Seen = tuple[str, str, bytes]  # method, target, body


def by_h11(data: bytes) -> list[Seen]:
    """Raises h11.RemoteProtocolError when h11 takes something for garbage."""
    found: list[Seen] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            method, target, body = event.method.decode(), event.target.decode("latin-1"), b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            found.append((method, target, body))
            length = [("Content-Length", "0")]
            connection.send(h11.Response(status_code=200, headers=length, reason=b"OK"))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:  # it takes this for the last one
                assert not connection.trailing_data[0], "bytes behind the last request"
                return found
            connection.start_next_cycle()
        else:
            return found


class _Heard:
    """The callbacks of httptools."""

    def __init__(self) -> None:
        self.parser: Any = httptools.HttpRequestParser(self)
        self.found: list[Seen] = []
        self.target = b""
        self.body = b""

    def on_message_begin(self) -> None:
        self.target = self.body = b""

    def on_url(self, data: bytes) -> None:
        self.target += data

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        method = self.parser.get_method().decode()
        self.found.append((method, self.target.decode("latin-1"), self.body))


def by_httptools(data: bytes) -> list[Seen]:
    """Raises httptools.HttpParserError when llhttp takes something for garbage."""
    heard = _Heard()
    heard.parser.feed_data(data)
    return heard.found
