"""nginx: one worker, kept connections, half of the users by `split_clients`.

It buffers as it does by default, but for streams: the backend asks it not to (X-Accel-Buffering).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.meter import children
from loadtests.peers.program import Place, Running, find, free_port, said, started

_CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log {log};
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 128k;  # bodies of the comparison fit, and never touch the disk
  proxy_buffers 16 16k;
  proxy_busy_buffers_size 64k;
  upstream v1 {{ server 127.0.0.1:{v1}; keepalive 256; }}
  upstream v2 {{ server 127.0.0.1:{v2}; keepalive 256; }}
  split_clients $http_x_user_id $version {{ 50% v2; * v1; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://$version;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
    }}
  }}
}}
"""


_LOG = "{folder}/access.log combined buffer=64k flush=1s"


class Nginx:
    without: frozenset[str] = frozenset()

    def __init__(self, name: str, *, writes_log: bool = False) -> None:
        self.name = name
        self._log = _LOG if writes_log else "off"

    def version(self) -> str:
        return said([self._program(), "-v"]).rpartition("/")[2]

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        port = free_port()
        v1, v2 = place.origins
        config = place.folder / "nginx.conf"
        log = self._log.format(folder=place.folder)
        config.write_text(_CONFIG.format(folder=place.folder, log=log, port=port, v1=v1, v2=v2))
        place.folder.chmod(0o755)  # the worker is not root
        command = [self._program(), "-e", f"{place.folder}/error.log", "-c", str(config)]
        async with started(command, place, port) as process:
            yield Running(port, children(process.pid), [process.pid])

    def _program(self) -> str:
        return find("nginx", "Debian: apt-get install nginx-light")
