"""Sockets that a service manager has opened."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from gateway.errors import SettingsError
from gateway.process.activation import Passed, take_passed

FIRST = 200  # nothing else in this process has descriptors from here on


@contextlib.contextmanager
def handed(*sockets: socket.socket) -> Iterator[None]:
    """The sockets at FIRST, FIRST + 1 and so on, as if they had been inherited."""
    for number, one in enumerate(sockets):
        os.dup2(one.fileno(), FIRST + number)
    try:
        yield
    finally:
        for number, one in enumerate(sockets):
            one.close()
            with contextlib.suppress(OSError):
                os.close(FIRST + number)


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def variables(count: object, names: str = "", pid: object = 42) -> dict[str, str]:
    environ = {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count), "HOME": "/"}
    return environ | {"LISTEN_FDNAMES": names} if names else environ


def refused(count: int, names: str = "") -> str:
    with pytest.raises(SettingsError) as error:
        take_passed(variables(count, names), 42, FIRST)
    [problem] = error.value.problems
    return str(problem)


def test_sockets_are_told_apart_by_their_names() -> None:
    admin, data = listening(), listening()
    ports = [one.getsockname()[1] for one in (data, admin)]
    environ = variables(2, "admin:data")
    with handed(admin, data):
        passed = take_passed(environ, 42, FIRST)
        assert environ == {"HOME": "/"}
        assert passed.data is not None and passed.admin is not None
        assert [one.getsockname()[1] for one in (passed.data, passed.admin)] == ports
        assert not passed.data.get_inheritable()
        passed.close()


@pytest.mark.parametrize("name", ["", "graygate.socket", "unknown", "data"])
def test_a_single_socket_is_the_data_port_whatever_its_name(name: str) -> None:
    with handed(listening()):
        passed = take_passed(variables(1, name), 42, FIRST)
        assert passed.data is not None and passed.admin is None
        passed.close()


def test_a_single_socket_named_admin_is_the_admin_port() -> None:
    with handed(listening()):
        passed = take_passed(variables(1, "admin"), 42, FIRST)
        assert passed.data is None and passed.admin is not None
        passed.close()


@pytest.mark.parametrize(
    "environ",
    [{}, variables(1, pid=41), variables(""), variables("many"), variables(0), {"LISTEN_FDS": "1"}],
)
def test_what_is_meant_for_another_process_is_left_alone(environ: dict[str, str]) -> None:
    with handed(listening()):
        assert take_passed(environ, 42, FIRST) == Passed()
        os.fstat(FIRST)  # it is still open


def test_several_sockets_without_their_names_are_refused() -> None:
    with handed(listening(), listening()):
        assert "socket 0 is named 'graygate.socket'" in refused(2, "graygate.socket:admin")


def test_two_data_sockets_are_refused() -> None:
    with handed(listening(), listening()):
        assert "two sockets are named data" in refused(2, "data:data")


def test_what_does_not_listen_on_tcp_is_refused() -> None:
    with handed(socket.socket()):
        assert "does not listen on TCP" in refused(1)
    with handed(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)):
        assert "does not listen on TCP" in refused(1)
    with handed(socket.socket(socket.AF_UNIX)):
        assert "does not listen on TCP" in refused(1)


def test_a_descriptor_that_is_no_socket_is_refused() -> None:
    reading, writing = os.pipe()
    os.dup2(reading, FIRST)
    for fd in (reading, writing):
        os.close(fd)
    try:
        assert "is no socket" in refused(1)
    finally:
        os.close(FIRST)
