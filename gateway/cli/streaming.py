"""Calls whose body or answer is a stream: nothing of it is ever held as a whole."""

from __future__ import annotations

import http.client
import select
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing

from gateway.cli.client import Gateway

Query = Mapping[str, str | int]

MOST_BYTES_OF_A_LINE = 1024 * 1024


def lines_of(
    gateway: Gateway,
    *path: str,
    takes: str,
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    on_head: Callable[[http.client.HTTPMessage], None] | None = None,
) -> Iterator[bytes]:
    """The lines of an answer as they come, with their ends; raises when it ends too early."""
    with closing(gateway.begin("GET", *path, query=query, headers=headers)) as connection:
        response = gateway.answered(connection, takes)
        if on_head is not None:
            on_head(response.headers)
        yield from _lines(gateway, response, is_write=False)


def upload(
    gateway: Gateway,
    method: str,
    *path: str,
    pieces: Iterable[bytes],
    takes: str,
    query: Query | None = None,
    on_line: Callable[[bytes], bool],
) -> None:
    """Sends pieces as text/plain and hands over each line of the answer as soon as it is there.

    The gateway answers while it is still being sent to. When `on_line` returns False, or it has
    answered that it will not do it, the rest is not sent.
    """
    headers = {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
    with closing(gateway.begin(method, *path, query=query, headers=headers)) as connection:
        response: http.client.HTTPResponse | None = None
        try:
            for piece in pieces:
                if piece:
                    connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                if not _has_words(connection):
                    continue
                if response is None:
                    response = gateway.answered(connection, takes, is_write=True)
                if not on_line(_line(gateway, response)):
                    return
            connection.send(b"0\r\n\r\n")
        except OSError:
            pass  # it closed its ear: what it said before tells why
        if response is None:
            response = gateway.answered(connection, takes, is_write=True)
        for line in _lines(gateway, response, is_write=True):
            if not on_line(line):
                return


def _has_words(connection: http.client.HTTPConnection) -> bool:
    return bool(select.select([connection.sock], [], [], 0)[0])


def _line(gateway: Gateway, response: http.client.HTTPResponse) -> bytes:
    return next(_lines(gateway, response, is_write=True), b"")


def _lines(
    gateway: Gateway, response: http.client.HTTPResponse, *, is_write: bool
) -> Iterator[bytes]:
    try:
        while line := response.readline(MOST_BYTES_OF_A_LINE):
            yield line
    except (OSError, http.client.HTTPException) as error:
        raise gateway.broken_off(error, is_write=is_write) from None
