"""The embedded store: every test runs the real server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.demo import store as store_module
from gateway.demo.resp import ask
from gateway.demo.store import EmbeddedStore
from gateway.errors import StoreError, UsageError
from tests.demo.processes import Parent, is_alive, wait_gone
from tests.servers import Server, free_port, redis_binary, wait_until

START = """
from gateway.demo import store as module
from gateway.demo.store import EmbeddedStore
{before}
store = EmbeddedStore(pathlib.Path({folder!r}), port=0)
store.start()
print(json.dumps({{"pid": store.pid, "port": store.port}}))
"""
# What happens where the kernel does not end a child with its parent.
UNTIED = "module.tethered = lambda *argv: list(argv)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[EmbeddedStore]:
    embedded = EmbeddedStore(folder, port=0)
    yield embedded
    embedded.stop()


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> None:
    assert pid is not None
    os.kill(pid, number)


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class TestStart:
    def test_it_answers_as_soon_as_it_is_started(self, store: EmbeddedStore) -> None:
        store.start()
        assert ask(store.port, "PING") == "PONG"
        assert store.url == f"redis://127.0.0.1:{store.port}/0"
        assert repr(store).endswith(f"store: port {store.port}>")

    def test_it_listens_on_loopback_only_and_flushes_every_second(
        self, store: EmbeddedStore
    ) -> None:
        store.start()
        with redis.Redis(port=store.port, decode_responses=True) as client:
            told = client.config_get("bind", "appendonly", "appendfsync", "save")
        assert told == {
            "bind": "127.0.0.1",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }

    def test_it_is_out_of_the_terminals_reach(self, store: EmbeddedStore) -> None:
        store.start()
        assert store.pid is not None
        assert os.getsid(store.pid) == store.pid

    def test_data_survives_a_restart(self, store: EmbeddedStore) -> None:
        store.start()
        ask(store.port, "SET", "k", "v")
        store.stop()
        store.start()
        assert ask(store.port, "GET", "k") == "v"

    def test_after_a_crash_it_starts_again_on_its_port(self, store: EmbeddedStore) -> None:
        store.start()
        port = store.port
        ask(store.port, "SET", "k", "v")
        kill(store.pid)
        wait_until(lambda: not store.is_running, "the crash is seen")
        store.start()
        assert (store.port, store.note) == (port, "")
        assert ask(port, "GET", "k") == "v"

    @pytest.mark.debian
    def test_redis_of_the_system_serves_as_well(self, folder: Path) -> None:
        store = EmbeddedStore(folder, port=0, binary=Path(redis_binary()))
        try:
            store.start()
            assert ask(store.port, "PING") == "PONG"
        finally:
            store.stop()

    def test_it_is_started_from_the_main_thread_only(self, store: EmbeddedStore) -> None:
        refused: list[str] = []

        def start() -> None:
            try:
                store.start()
            except RuntimeError as error:
                refused.append(str(error))

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        assert refused == ["a child dies with the thread that started it: use the main thread"]


class TestPort:
    def test_a_taken_port_moves_it_to_the_next_free_one_and_it_says_so(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            store = EmbeddedStore(folder, port=taken)
            try:
                store.start()
                assert store.port > taken
                assert ask(store.port, "PING") == "PONG"
                assert store.note == (
                    f"port {taken} is taken, so the embedded store listens on {store.port}"
                )
            finally:
                store.stop()

    def test_a_port_that_is_taken_at_the_last_moment_is_passed_over_too(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken, free = other.getsockname()[1], free_port()
            monkeypatch.setattr(store_module, "_free_ports", lambda first: iter([taken, free]))
            store = EmbeddedStore(folder, port=taken)
            try:
                store.start()
                assert store.port == free
            finally:
                store.stop()

    def test_another_store_on_the_port_is_not_taken_for_ours(
        self, folder: Path, fresh_valkey: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken, free = fresh_valkey.port, free_port()
        monkeypatch.setattr(store_module, "_free_ports", lambda first: iter([taken, free]))
        store = EmbeddedStore(folder, port=taken)
        try:
            store.start()
            assert store.port == free
        finally:
            store.stop()

    def test_the_wanted_port_needs_no_word(self, folder: Path) -> None:
        port = free_port()
        store = EmbeddedStore(folder, port=port)
        try:
            store.start()
            assert (store.port, store.note) == (port, "")
        finally:
            store.stop()


class TestStop:
    def test_nothing_is_left_running_and_the_folder_is_free(self, store: EmbeddedStore) -> None:
        store.start()
        pid, port = store.pid, store.port
        store.stop()
        store.stop()
        assert pid is not None
        assert not is_alive(pid)
        assert not is_open(port)
        assert repr(store).endswith("store: not running>")
        store.start()

    def test_a_frozen_store_ends_as_well(self, store: EmbeddedStore) -> None:
        store.start()
        pid = store.pid
        kill(pid, signal.SIGSTOP)
        store.stop()
        assert pid is not None
        assert not is_alive(pid)
        assert "ready to exit" in store.last_words()  # it was thawed to end in order, not killed

    def test_a_start_that_is_interrupted_leaves_nothing(
        self, store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[int | None] = []

        def interrupt(port: int, *words: str) -> str:
            started.append(store.pid)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store_module, "ask", interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.start()
        assert started[0] is not None
        assert not is_alive(started[0])
        store.start()  # and the folder is free


class TestOneAtATime:
    def test_a_second_one_in_the_same_folder_is_refused_and_told_who_has_it(
        self, store: EmbeddedStore, folder: Path
    ) -> None:
        store.start()
        second = EmbeddedStore(folder, port=0)
        with pytest.raises(UsageError) as refused:
            second.start()
        assert str(refused.value) == (
            f"another graygate (process {os.getpid()}, store on port {store.port}) already runs "
            f"the store in {folder}: stop that one first, or run this one in another folder"
        )
        second.stop()
        assert ask(store.port, "PING") == "PONG"

    def test_other_folders_are_free(self, store: EmbeddedStore, tmp_path: Path) -> None:
        store.start()
        other = EmbeddedStore(tmp_path / "other", port=0)
        try:
            other.start()
            assert other.port != store.port
        finally:
            other.stop()


class TestKilledParent:
    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it by itself")
    def test_the_store_ends_with_it_and_its_data_is_there_next_time(
        self, store: EmbeddedStore, folder: Path
    ) -> None:
        with self.run(folder) as killed:
            port, pid = killed.said["port"], killed.said["pid"]
            ask(port, "SET", "k", "v")
            killed.kill()
            wait_gone(pid)
        assert not is_open(port)
        store.start()
        assert ask(store.port, "GET", "k") == "v"

    def test_a_store_that_outlives_it_is_ended_before_another_starts(
        self, store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "ORPHAN_SECONDS", 0.05)
        with self.run(folder, UNTIED) as killed:
            port, orphan = killed.said["port"], killed.said["pid"]
            ask(port, "SET", "k", "v")
            killed.kill()
            assert is_alive(orphan)
            store.start()
            assert not is_alive(orphan)
            assert ask(store.port, "GET", "k") == "v"

    def test_an_orphan_that_cannot_say_who_it_is_is_left_alone_and_named(
        self, store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "ORPHAN_SECONDS", 0.05)
        with self.run(folder, UNTIED) as killed:
            orphan = killed.said["pid"]
            killed.kill()
            kill(orphan, signal.SIGSTOP)
            with pytest.raises(UsageError) as refused:
                store.start()
            assert str(refused.value) == (
                f"process {orphan} of an earlier run still uses the store in {folder}: "
                "end it, then start again"
            )
            assert is_alive(orphan)

    @staticmethod
    def run(folder: Path, before: str = "") -> Parent:
        return Parent(START.format(folder=str(folder), before=before))


class TestFailure:
    def test_a_broken_file_is_told_with_the_servers_own_words(
        self, store: EmbeddedStore, folder: Path
    ) -> None:
        store.start()
        for number in range(20):
            ask(store.port, "SET", f"k{number}", "v")
        store.stop()
        [file] = folder.glob("appendonlydir/*.incr.aof")
        data = file.read_bytes()
        file.write_bytes(data[:100] + b"*9\r\n$x\r\n" + data[100:])
        with pytest.raises(StoreError) as failed:
            store.start()
        text = str(failed.value)
        assert text.startswith(
            "the embedded store did not start: Bad file format reading the append only file"
        )
        assert text.endswith(
            f"Its log is {folder}/store.log; to begin with an empty store, move {folder} away"
        )
        assert not store.is_running

    def test_a_folder_that_cannot_be_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError) as failed:
            EmbeddedStore(tmp_path / "file" / "store", port=0).start()
        assert str(failed.value).startswith(f"cannot keep the embedded store in {tmp_path}/file/")
        assert "name a store with --redis" in str(failed.value)

    def test_a_program_that_is_none_is_told(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "server").write_bytes(b"\x00\x01")
        (tmp_path / "server").chmod(0o755)
        with pytest.raises(StoreError) as failed:
            EmbeddedStore(folder, port=0, binary=tmp_path / "server").start()
        assert f"cannot run {tmp_path}/server: Exec format error" in str(failed.value)
        assert "\n" not in str(failed.value)

    @pytest.mark.parametrize("words", ["Error writing the file: No space left on device", ""])
    def test_a_full_disk_is_told_even_if_the_server_cannot(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
    ) -> None:
        server = tmp_path / "server"
        server.write_text(f"#!/bin/sh\necho '{words}'\nexit 1\n")
        server.chmod(0o755)
        if not words:
            full = shutil.disk_usage(tmp_path)._replace(free=0)
            monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
        with pytest.raises(StoreError) as failed:
            EmbeddedStore(folder, port=0, binary=server).start()
        assert str(failed.value) == (
            f"the embedded store did not start: the disk of {folder} is full; "
            "make room there, then start again"
        )
