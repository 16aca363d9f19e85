"""HAProxy: one thread, kept connections, half of the users by a hash of their id.

Without `http-no-delay` it keeps each chunk of a stream back for 200 ms, and looks cheap for it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.peers.program import Place, Running, find, free_port, said, started

_CONFIG = """\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-request 10s
  timeout http-keep-alive 75s
  option forwardfor
  option http-no-delay
  http-reuse safe
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  unique-id-format %{{+X}}o%rt-%pid-%ci-%cp
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  default_backend versions
backend versions
  balance hdr(x-user-id)
  hash-type consistent
  server v1 127.0.0.1:{v1} pool-max-conn 1024
  server v2 127.0.0.1:{v2} pool-max-conn 1024
"""


class HAProxy:
    name = "haproxy"
    without: frozenset[str] = frozenset()

    def version(self) -> str:
        match = re.search(r"version (\S+)", said([self._program(), "-v"]))
        return match[1].partition("-")[0] if match else "?"

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        port = free_port()
        config = place.folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(port=port, v1=place.origins[0], v2=place.origins[1]))
        async with started([self._program(), "-db", "-f", str(config)], place, port) as process:
            yield Running(port, [process.pid], [])

    def _program(self) -> str:
        return find("haproxy", "Debian: apt-get install haproxy")
