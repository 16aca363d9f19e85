from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway.demo.resp import ask
from gateway.errors import StoreError
from tests.servers import Server, free_port

Answering = Callable[[bytes], int]


def test_a_real_store_answers(store: Server) -> None:
    assert ask(store.port, "PING") == "PONG"
    assert ask(store.port, "SET", "k", "ä b\r\n") == "OK"
    assert ask(store.port, "GET", "k") == "ä b\r\n"
    assert ask(store.port, "INCR", "n") == "1"
    assert "process_id:" in ask(store.port, "INFO")
    with pytest.raises(StoreError, match="WRONGTYPE Operation"):
        ask(store.port, "LPUSH", "k", "x")


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Something else that listens: sends these bytes to whoever asks, and hangs up."""
    threads: list[threading.Thread] = []

    def serve(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]

        def run() -> None:
            with listener:
                link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(answer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return port

    yield serve
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"", b"+PO", b"$9\r\nshort\r\n", b"$x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-1\r\n"],
)
def test_what_is_no_reply_is_a_connection_error(answering: Answering, answer: bytes) -> None:
    with pytest.raises(ConnectionError):
        ask(answering(answer), "PING")


def test_nobody_there_is_an_os_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        ask(free_port(), "PING")
