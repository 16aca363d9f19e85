"""`graygate serve` as an operator starts it, with a settings file that may change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self

from gateway.process.runfile import RUN_FILE, read_run_file
from tests.process.harness import children_of
from tests.servers import HOST, Server, wait_until

_SETTINGS = """\
listen.host = "{host}"
listen.port = 0
admin.port = 0
log.level = "warning"
process.workers = {workers}
redis.url = "{store}"
redis.timeout_seconds = 0.5
redis.heartbeat_seconds = 0.3
redis.poll_seconds = 0.5
"""


class Gateway:
    """One whole gateway in real processes."""

    def __init__(self, folder: Path, store: Server, workers: int = 2, extra: str = "") -> None:
        self._folder = folder
        self._text = _SETTINGS.format(host=HOST, workers=workers, store=store.url) + extra
        self.data_url = self.admin_url = ""

    def __repr__(self) -> str:
        return f"<Gateway in {self._folder}, admin {self.admin_url}>"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self.settings.write_text(self._text)
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "serve", "--config", str(self.settings)],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            )
        try:
            wait_until(self._is_up, "the gateway is up")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def settings(self) -> Path:
        return self._folder / "gateway.toml"

    def stop(self) -> None:
        """Twice, so that nobody waits for streams; may be called again."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self.process.poll()
        self.process.wait(40)

    def reload(self, extra: str) -> None:
        """Writes other settings and has them read."""
        self.settings.write_text(self._text + extra)
        self.process.send_signal(signal.SIGHUP)

    @property
    def instance(self) -> str:
        """Its name in Prometheus."""
        return self.admin_url.removeprefix("http://")

    @property
    def workers(self) -> list[int]:
        """Their process ids, the oldest first."""
        return sorted(children_of(self.process.pid, "gateway.process.worker"))

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def metrics(self, accept: str = "") -> tuple[str, str]:
        """The exposition and its content type."""
        request = urllib.request.Request(self.admin_url + "/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode(), answer.headers["Content-Type"]

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log()
        running = read_run_file(self._folder / RUN_FILE)
        if running is None:
            return False
        self.data_url = running.data_url.rstrip("/")
        self.admin_url = running.admin_url.rstrip("/")
        return True


def plant(store: Server, route: str, weight: float | None, **versions: str) -> None:
    """A route at /NAME; v1 is stable, v2 has `weight` percent. Its name comes last: it is whole."""
    words = [word for version, urls in versions.items() for word in (version, urls)]
    store.execute("HSET", f"gray:route:{route}:versions", *words)
    if weight is not None:
        store.execute("HSET", f"gray:route:{route}:weights", "v2", weight)
    store.execute("HSET", f"gray:route:{route}", "stable", "v1", "path", f"/{route}")
    store.execute("SADD", "gray:routes", route)
