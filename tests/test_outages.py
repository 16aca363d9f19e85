"""Requests through a whole gateway while its store dies, freezes, loses everything, comes back."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.process.runfile import Running
from tests.process.harness import Model
from tests.servers import Server, Valkey, wait_until
from tests.serving import Users, admin, ask, served


def is_connected(running: Running) -> bool:
    store = admin(running, "/api/v1/state")["store"]
    assert isinstance(store, dict)
    return bool(store["connected"])


def seed(store: Server, model: Model) -> None:
    store.cli(f"HSET gray:route:chat:versions v1 {model.url} v2 {model.url}")
    store.cli("HSET gray:route:chat:weights v2 50")
    store.cli("HSET gray:route:chat stable v1")
    store.cli("SADD gray:routes chat")


def _start(store: Server) -> None:
    store.start()


def killed(store: Server) -> Callable[[], None]:
    store.kill()
    return lambda: _start(store)


def frozen(store: Server) -> Callable[[], None]:
    store.freeze()
    return store.thaw


def emptied(store: Server) -> Callable[[], None]:
    store.cli("FLUSHALL")
    store.kill()
    return lambda: _start(store)


@pytest.mark.parametrize("outage", [killed, frozen, emptied])
def test_K01_K02_K03_no_request_fails_while_the_store_is_away(
    tmp_path: Path, outage: Callable[[Server], Callable[[], None]]
) -> None:
    with Model("v1") as model, Valkey(appendonly=True) as store:
        seed(store, model)
        with (
            served(tmp_path, store.url, "redis.timeout_seconds=0.5") as running,
            Users(running.data_url + "/x") as users,
        ):
            wait_until(lambda: users.answered > 50, "requests are answered")
            mend = outage(store)
            try:
                wait_until(lambda: not is_connected(running), "the outage is noticed")
                before = users.answered
                wait_until(lambda: users.answered > before + 200, "requests go on")
            finally:
                mend()
            wait_until(lambda: is_connected(running), "the store is back")
            before = users.answered
            wait_until(lambda: users.answered > before + 50, "requests go on")
            ready = admin(running, "/readyz?verbose")
            assert ready["ready"] is True
    assert users.failures == []


def test_K05_a_start_without_a_store_serves_by_the_saved_table_or_says_503(tmp_path: Path) -> None:
    with Model("v1") as model, Valkey(appendonly=True) as store:
        seed(store, model)
        with served(tmp_path, store.url) as running:
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "it serves")
            wait_until(lambda: (tmp_path / ".graygate/state/table.json").exists(), "it is saved")
        store.kill()
        with served(tmp_path, store.url) as running:
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "it serves")
            verbose = admin(running, "/readyz?verbose")
            assert (verbose["ready"], verbose["stale"], verbose["table_from_disk"]) == (
                True, True, True,
            )  # fmt: skip
        (tmp_path / ".graygate/state/table.json").unlink()
        with served(tmp_path, store.url, is_ready=False) as running:
            status, body = ask(running.data_url + "/x")
            assert status == 503
            assert b"no_table" in body
            with pytest.raises(urllib.error.HTTPError, match="503"):
                admin(running, "/readyz")
            store.start()
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "the store was found")


def test_users_stay_where_they_are_through_an_outage(tmp_path: Path) -> None:
    with Model("v1") as one, Model("v2") as two, Valkey(appendonly=True) as store:
        seed(store, one)
        store.cli(f"HSET gray:route:chat:versions v2 {two.url}")
        with served(tmp_path, store.url) as running:
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "it serves")
            before = [ask(running.data_url + "/x", f"user-{n}")[1] for n in range(100)]
            assert len(set(before)) == 2
            store.kill()
            wait_until(lambda: not is_connected(running), "the outage is noticed")
            after = [ask(running.data_url + "/x", f"user-{n}")[1] for n in range(100)]
            assert after == before
        with served(tmp_path, store.url) as running:
            after = [ask(running.data_url + "/x", f"user-{n}")[1] for n in range(100)]
            assert after == before
