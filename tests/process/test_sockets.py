"""What the gateway listens on."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.config.settings import Admin, Listen, Settings
from gateway.errors import SettingsError
from gateway.process.sockets import Sockets, open_sockets


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
