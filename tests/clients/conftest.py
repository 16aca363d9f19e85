"""A gateway of real processes in front of a model server, shared by all clients."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.routing.spec import RouteSpec, VersionSpec
from tests.clients.loop_thread import LoopThread
from tests.clients.model_server import ModelServer
from tests.clients.openai_api import openai_api
from tests.clients.other_apis import other_apis
from tests.clients.ways import Way, Ways
from tests.clients.web_api import BLOCK, BLOCKS, web_api
from tests.process.harness import Gateway


@pytest.fixture(scope="session")
def server_thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


@pytest.fixture(scope="session")
def models(
    server_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ModelServer, ModelServer]]:
    """The stable version and the canary."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "weights.bin").write_bytes(BLOCK * BLOCKS)
    both = [ModelServer(server_thread, name, Path(folder)) for name in ("stable", "canary")]
    for model in both:
        model.start(openai_api, other_apis, web_api)
    yield both[0], both[1]
    for model in both:
        model.stop()


@pytest.fixture(scope="session")
def gateway(models: tuple[ModelServer, ModelServer]) -> Iterator[Gateway]:
    stable, canary = models
    versions = {"v1": VersionSpec(urls=(stable.url,)), "v2": VersionSpec(urls=(canary.url,))}
    whole = RouteSpec(name="chat", stable="v1", versions=versions, salt="chat")
    split = RouteSpec(
        name="split",
        stable="v1",
        versions=versions,
        weights={"v2": 50.0},
        salt="split",
        paths=("/split",),
    )
    spoken = RouteSpec(
        name="spoken",
        stable="v1",
        versions={"v1": versions["v1"]},
        salt="spoken",
        paths=("/spoken",),
        dialect="openai",
    )
    down = RouteSpec(
        name="down",
        stable="v1",
        versions={"v1": VersionSpec(urls=("http://127.0.0.1:1",))},
        salt="down",
        paths=("/down",),
        dialect="openai",
    )
    with Gateway(workers=2, drain_seconds=5.0) as gateway:
        gateway.publish(1, whole, split, spoken, down)
        gateway.start().wait_held(1)
        yield gateway
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0, gateway.log()


@pytest.fixture
def ways(
    gateway: Gateway, models: tuple[ModelServer, ModelServer], server_thread: LoopThread
) -> Ways:
    for model in models:
        model.requests = []
    stable = models[0]
    url = f"http://{gateway.host}:{gateway.port}"
    return Ways(
        Way("direct", stable.url, stable, server_thread), Way("gateway", url, stable, server_thread)
    )
