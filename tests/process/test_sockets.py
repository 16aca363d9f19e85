"""What the gateway listens on."""

from __future__ import annotations

import select
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.config.settings import Admin, Listen, Settings
from gateway.errors import SettingsError
from gateway.process.activation import Passed
from gateway.process.sockets import Sockets, make_runtime_dir, open_sockets, turn_away


def on(host: str, port: int = 0, admin_port: int = 0) -> Settings:
    listen = Listen(host=host, port=port)
    return Settings(listen=listen, admin=Admin(host="127.0.0.1", port=admin_port))


@contextmanager
def opened(settings: Settings, workers: int) -> Iterator[Sockets]:
    sockets = open_sockets(settings, workers)
    try:
        yield sockets
    finally:
        sockets.close()
        Path(sockets.channel_path).unlink()
        sockets.runtime_dir.rmdir()


def test_every_worker_gets_a_socket_on_the_same_port() -> None:
    with opened(on("127.0.0.1"), 3) as sockets:
        ports = {one.getsockname()[1] for one in sockets.data}
        assert len(sockets.data) == 3
        assert ports == {int(sockets.data_url.rpartition(":")[2])}
        assert 0 not in ports


def test_the_folder_of_the_channel_is_private_and_its_path_fits_a_unix_socket() -> None:
    with opened(on("127.0.0.1"), 1) as sockets:
        assert stat.S_IMODE(sockets.runtime_dir.stat().st_mode) == 0o700
        assert len(sockets.channel_path) < 104
        with socket.socket(socket.AF_UNIX) as worker:
            worker.connect(sockets.channel_path)


def test_a_deep_temporary_folder_does_not_make_the_path_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with opened(on("127.0.0.1"), 1) as sockets:
        assert len(sockets.channel_path) < 104
    assert list(deep.iterdir()) == []


@pytest.mark.parametrize("host", ["::1", "::"])
def test_the_data_port_works_on_ipv6(host: str) -> None:
    with opened(on(host), 1) as sockets:
        assert sockets.data_url.startswith("http://[::1]:")
        port = sockets.data[0].getsockname()[1]
        socket.create_connection(("::1", port), timeout=5).close()
        if host == "::":
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_all_addresses_are_shown_as_one_that_can_be_connected_to() -> None:
    with opened(on("0.0.0.0"), 1) as sockets:
        assert sockets.data_url.startswith("http://127.0.0.1:")


def test_a_port_that_another_gateway_has_is_not_shared_with_it() -> None:
    with opened(on("127.0.0.1"), 2) as first:
        port = first.data[0].getsockname()[1]
        with pytest.raises(SettingsError) as refused:
            open_sockets(on("127.0.0.1", port), 2)
    [problem] = refused.value.problems
    assert problem.where == "listen.port"
    assert f"port {port} on 127.0.0.1 is taken" in problem.what


def test_a_taken_admin_port_is_named_and_leaves_no_data_port_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        with pytest.raises(SettingsError) as refused:
            open_sockets(on("127.0.0.1", free, other.getsockname()[1]), 2)
        socket.create_server(("127.0.0.1", free)).close()
    assert refused.value.problems[0].where == "admin.port"


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "x" * 300])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_sockets(on(host), 1)
    assert refused.value.problems[0].where == "listen.host"


def test_a_passed_data_socket_is_shared_by_all_workers() -> None:
    data, admin = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    passed = Passed(data, admin)
    sockets = open_sockets(on("192.0.2.1"), 3, passed)  # the address in the settings is not used
    try:
        assert sockets.is_passed
        assert sockets.admin is admin
        client = socket.create_connection(data.getsockname(), timeout=5)
        assert all(select.select([one], [], [], 5)[0] for one in sockets.data)
        taken, _ = sockets.data[2].accept()
        taken.close()
        client.close()
    finally:
        sockets.close()
        Path(sockets.channel_path).unlink()
        sockets.runtime_dir.rmdir()


def test_passed_sockets_are_closed_when_the_rest_cannot_be_opened() -> None:
    data = socket.create_server(("127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SettingsError):
        open_sockets(on("127.0.0.1", 0, other.getsockname()[1]), 2, Passed(data))
    assert data.fileno() == -1


def test_the_folder_of_the_channel_is_made_where_the_service_manager_wants_it(
    tmp_path: Path,
) -> None:
    folder = make_runtime_dir(str(tmp_path))
    assert folder.parent == tmp_path


def test_without_a_writable_temporary_folder_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc")
    with pytest.raises(SettingsError) as refused:
        open_sockets(on("127.0.0.1"), 1)
    assert "mount a writable one on /tmp" in refused.value.problems[0].what


@pytest.mark.skipif(sys.platform != "linux", reason="a socket filter of Linux")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_after_the_last_call_what_waits_is_kept_and_nobody_new_gets_in(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        address = listening.getsockname()[:2]
        with socket.create_connection(address, timeout=5) as early:
            assert turn_away(listening)
            with socket.socket(family) as late:
                late.setblocking(False)
                late.connect_ex(address)
                accepted, _ = listening.accept()
                with accepted:
                    early.sendall(b"hello")
                    assert accepted.recv(5) == b"hello"
                assert not select.select([listening], [], [], 0.1)[0]
                listening.close()
                # It asks again after a second, and is told then that nobody listens.
                assert select.select([], [late], [], 10)[1]
                assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 111


def test_what_is_no_socket_any_more_is_not_turned_away() -> None:
    closed = socket.socket()
    closed.close()
    assert not turn_away(closed)
