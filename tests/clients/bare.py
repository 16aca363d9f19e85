"""A client that is nothing but a socket."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit

from tests.clients.ways import Way, fields

SECONDS = 20.0


def connected(way: Way, receive_buffer: int = 0) -> socket.socket:
    """A connection; one with a small buffer for what it receives reads slowly."""
    url = urlsplit(way.url)
    connection = socket.socket()
    connection.settimeout(SECONDS)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((url.hostname, url.port))
    return connection


def answer_of(connection: socket.socket) -> tuple[object, ...]:
    """The next answer on a connection, as far as it can be compared."""
    with HTTPResponse(connection) as answer:
        answer.begin()
        return answer.status, answer.reason, fields(answer.getheaders()), answer.read()
