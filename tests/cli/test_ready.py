from __future__ import annotations

import socket
import threading

import pytest

from gateway.cli.client import find_gateway
from gateway.metrics.standing import Standing
from tests.cli.conftest import Run
from tests.cli.live import Live
from tests.servers import free_port


def test_a_gateway_that_is_ready_is_exit_code_0(up: Live) -> None:
    up.side.workers.append(up.side.worker())
    done = up.run("ready")
    assert (done.exit_code, done.stdout) == (0, "ok\n")


def test_a_gateway_that_is_not_is_exit_code_1_and_the_reason(up: Live) -> None:
    up.side.workers.append(up.side.worker())
    up.side.standing = Standing(is_draining=True)
    done = up.run("ready")
    assert (done.exit_code, done.stdout) == (1, "not ready: not_draining\n")
    done = up.run("ready", "--live")
    assert (done.exit_code, done.stdout) == (0, "ok\n")


def test_a_gateway_that_does_not_answer_is_exit_code_3(run: Run) -> None:
    done = run("ready", "--gateway", f"http://127.0.0.1:{free_port()}")
    assert done.exit_code == 3
    assert done.stderr.startswith("graygate: No gateway answers at")


def test_what_answers_and_is_no_gateway_is_not_ready(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        done = run("ready", "--gateway", f"http://127.0.0.1:{server.getsockname()[1]}")
        answering.join()
    assert (done.exit_code, done.stdout) == (1, "not ready: it answers 404\n")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8081"),
        ({"GRAYGATE_ADMIN__PORT": "9000"}, "http://127.0.0.1:9000"),
        (
            {"GRAYGATE_ADMIN__HOST": "0.0.0.0", "GRAYGATE_ADMIN__PORT": "9000"},
            "http://127.0.0.1:9000",
        ),
        ({"GRAYGATE_ADMIN__HOST": "10.0.0.7"}, "http://10.0.0.7:8081"),
        ({"GRAYGATE_ADMIN__HOST": "::1"}, "http://[::1]:8081"),
    ],
)
def test_in_the_gateways_own_environment_it_is_found(environ: dict[str, str], url: str) -> None:
    assert find_gateway(None, environ).url == url
