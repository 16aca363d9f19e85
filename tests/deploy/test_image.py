"""The image itself, built and run by an engine: `make image-check`, as root."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway import __version__
from tests.deploy.containing import stages
from tests.deploy.imaging import BASE, HARDENED, PROGRAMS, Container, Engine
from tests.deploy.test_installed import MODULES
from tests.servers import HOST, Server, free_port, wait_until

pytestmark = [
    pytest.mark.skipif(
        "TEST_IMAGE" not in os.environ, reason="takes ten minutes: make image-check"
    ),
    pytest.mark.timeout(2400),
]

TARGETS = ("slim", "distroless")
HOME = "/var/lib/graygate"
# What a gateway loads late or asks the system for, and what would only be missed on some day.
_LATE = f"""
import json, os, pathlib, socket, zoneinfo
import {MODULES}
print(json.dumps({{
    "ids": [os.getuid(), os.getgid(), *os.getgroups()],
    "zones": len(zoneinfo.available_timezones()),
    "authorities": len(ssl.create_default_context().get_ca_certs()),
    "lost": [str(p) for p in pathlib.Path("/etc/ssl/certs").iterdir() if not p.exists()],
    "localhost": socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0],
}}))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(PROGRAMS)}")
    made = Engine(Path(tempfile.mkdtemp(prefix="graygate-image-")))
    try:
        made.make_bases()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", params=TARGETS)
def image(request: pytest.FixtureRequest, engine: Engine) -> str:
    return engine.build(request.param, compiled=True)


def test_the_compiled_gateway_is_in_it(engine: Engine, image: str) -> None:
    assert engine.run(image, "--version") == f"graygate {__version__}, compiled\n"
    assert engine.run(image, "config", "check") == "defaults (no settings file): ok\n"


@pytest.mark.parametrize("target", TARGETS)
def test_without_a_compiler_it_is_the_same_gateway(engine: Engine, target: str) -> None:
    image = engine.build(target, compiled=False)
    assert engine.run(image, "--version") == f"graygate {__version__}, pure\n"


def test_it_says_what_the_recipe_says(engine: Engine, image: str) -> None:
    [said] = json.loads(engine.podman("image", "inspect", image).stdout)
    config = said["Config"]
    recipe = stages()["slim"]
    assert config["User"] == recipe.last("USER")
    assert (config["Entrypoint"], config["Cmd"]) == (["graygate"], ["serve"])
    assert (config["StopSignal"], list(config["Volumes"])) == ("SIGTERM", [HOME])
    assert sorted(config["ExposedPorts"]) == ["8080/tcp", "8081/tcp"]
    assert said["Healthcheck"]["Test"] == ["CMD", *recipe.words("HEALTHCHECK")]
    labels = {key.rpartition(".")[2]: value for key, value in config["Labels"].items()}
    assert (labels["title"], labels["revision"]) == ("Graygate", "none")


def test_it_is_small(engine: Engine, image: str) -> None:
    def megabytes(name: str) -> float:
        [said] = json.loads(engine.podman("image", "inspect", name).stdout)
        return float(said["Size"]) / 1e6

    own = megabytes(image) - (megabytes(BASE) if "slim" in image else 0)
    print(f"{image}: {megabytes(image):.0f} MB")
    assert own < 120, image


def test_what_it_asks_the_system_for_is_there(engine: Engine, image: str) -> None:
    said = json.loads(engine.run(image, "-P", "-c", _LATE, entry="python"))
    assert set(said["ids"]) == {65532}
    assert said["zones"] > 400
    assert said["authorities"] > 100 and said["lost"] == []
    assert said["localhost"] == HOST


def test_neither_pip_nor_a_compiler_is_in_it_and_a_shell_only_in_one(
    engine: Engine, image: str
) -> None:
    def has(*words: str) -> bool:
        entry, *rest = words
        given = ["--rm", *HARDENED, "--no-healthcheck", "--entrypoint", entry, image, *rest]
        return engine.podman("run", *given, is_checked=False).returncode == 0

    assert has("python", "-c", "import gateway")
    assert not has("python", "-c", "import pip")
    assert not has("cc", "--version") and not has("gcc", "--version")
    assert has("sh", "-c", "true") is ("slim" in image)


# -- it serves -------------------------------------------------------------------------------------


class Served:
    """Two models and a gateway, each a container of the same image, on this machine's loopback."""

    def __init__(self, engine: Engine, image: str, store: Server) -> None:
        self._engine = engine
        self._image = image
        self._store = store
        self.ports = {name: free_port() for name in ("data", "admin", "v1", "v2")}
        self.variables = [
            f"--env=GRAYGATE_REDIS_URL={store.url}",
            f"--env=GRAYGATE_LISTEN__PORT={self.ports['data']}",
            f"--env=GRAYGATE_ADMIN__PORT={self.ports['admin']}",
        ]

    @contextmanager
    def gateway(self, *words: str) -> Iterator[Container]:
        given = [*words, *self.variables, self._image]
        with self._engine.running("gateway", given) as container:
            wait_until(lambda: self.is_up() or not container.is_running, "it is up", 60)
            assert container.is_running
            yield container

    @contextmanager
    def models(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name in ("v1", "v2"):
                words = ["-P", "-m", "gateway.demo.backend", "--name", name]
                words += ["--port", str(self.ports[name])]
                given = [*HARDENED, "--no-healthcheck", "--entrypoint", "python", self._image]
                stack.enter_context(self._engine.running(f"model-{name}", [*given, *words]))
            places = [f"{name}=http://{HOST}:{self.ports[name]}" for name in ("v1", "v2")]
            given = ["--rm", *HARDENED, "--no-healthcheck", "--entrypoint", "python"]
            words = ["-P", "-m", "gateway.demo.plant", *places]
            self._engine.podman("run", *given, *self.variables, self._image, *words)
            yield

    def is_up(self) -> bool:
        try:
            return self.ask("admin", "/healthz")[0] == 200
        except OSError:
            return False

    def ask(self, port: str, path: str, **headers: str) -> tuple[int, str]:
        """Status and version of the answer; it is read to its end."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://{HOST}:{self.ports[port]}{path}", headers=named)
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return answer.status, answer.headers.get("X-Graygate-Version", "")


@pytest.fixture
def scene(engine: Engine, image: str, fresh_valkey: Server) -> Iterator[Served]:
    served = Served(engine, image, fresh_valkey)
    with served.models():
        yield served


def test_it_serves_as_nobody_on_a_file_system_that_cannot_be_written(scene: Served) -> None:
    words = [*HARDENED, "--volume", f"graygate:{HOME}"]
    with scene.gateway(*words) as gateway:
        wait_until(lambda: gateway.is_healthy, "its own check says so", 30)
        users = [scene.ask("data", "/v1/models", x_user_id=f"user-{n}") for n in range(60)]
        assert set(users) == {(200, "v1"), (200, "v2")}
        state = gateway.inspect()["State"]
        said = status_of(state["Pid"])
        assert said["Uid"] == said["Gid"] == ["65532"] * 4
        assert said["NoNewPrivs"] == ["1"]
        assert {said[name][0] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
        [volume] = [mount for mount in gateway.inspect()["Mounts"] if mount["Destination"] == HOME]
        assert list(Path(volume["Source"], "state").iterdir()), "the last good table is kept"
        assert Path(volume["Source"]).stat().st_uid == 65532

        late: list[tuple[int, str]] = []
        slow = {"x_user_id": "user-1", "x_demo_latency_ms": "3000"}
        user = threading.Thread(target=lambda: late.append(scene.ask("data", "/slow", **slow)))
        user.start()
        wait_until(lambda: in_flight(scene) == 1, "a request is in flight")
        assert gateway.stop() == 0
        user.join(10)
        assert [status for status, _ in late] == [200], "it is drained"
        assert "Read-only" not in gateway.log()


def test_it_writes_to_its_volume_only(scene: Served) -> None:
    words = [word for word in HARDENED if word != "--read-only"]
    with scene.gateway(*words) as gateway:
        assert scene.ask("data", "/v1/models", x_user_id="user-1")[0] == 200
        assert gateway.stop() == 0
        # The engine's own: it puts the names of hosts there.
        assert set(gateway.changed()) <= {"C /etc"}


def in_flight(scene: Served) -> int:
    url = f"http://{HOST}:{scene.ports['admin']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("graygate_requests_in_flight{")]
    return round(sum(float(line.rpartition(" ")[2]) for line in found))


def status_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: words.split() for name, _, words in (line.partition(":") for line in lines)}
