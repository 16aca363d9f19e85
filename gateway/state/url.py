"""Where the store is: the URL taken apart, and the slot of a Cluster that a key belongs to."""

from __future__ import annotations

import re
from binascii import crc_hqx
from dataclasses import dataclass

from gateway.config.store_url import url_problem
from gateway.errors import Problem, SettingsError

REDIS_PORT = 6379
SENTINEL_PORT = 26379
SLOTS = 16384
MAX_UNIX_PATH_BYTES = 103  # what fits into a socket address everywhere, the closing zero left out


@dataclass(frozen=True, slots=True)
class Address:
    """One server, by host and port or by the path of its Unix socket; never with a secret."""

    host: str = ""
    port: int = 0
    path: str = ""
    db: int = 0
    tls: bool = False

    def __str__(self) -> str:
        if self.path:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Site:
    """What a store URL names: a server, or Sentinels that know the server called `service`."""

    addresses: tuple[Address, ...]
    service: str = ""
    db: int = 0

    @property
    def has_sentinels(self) -> bool:
        return bool(self.service)


def parse_url(url: str, *, tls: bool = False) -> Site:
    """Take a store URL apart; a SettingsError says what is wrong, without repeating the URL.

    `tls` makes a redis+sentinel:// URL speak TLS, as no scheme of its own exists for that.
    """
    if problem := url_problem(url):
        raise SettingsError((Problem("redis.url", problem),))
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return _unix(rest)
    servers, _, path = rest.partition("/")
    if scheme == "redis+sentinel":
        service, _, database = path.rstrip("/").partition("/")
        addresses = [_server(server, SENTINEL_PORT, 0, tls) for server in servers.split(",")]
        return Site(tuple(addresses), service, int(database or 0))
    address = _server(servers, REDIS_PORT, int(path or 0), scheme == "rediss")
    return Site((address,), db=address.db)


def key_slot(key: str) -> int:
    """The slot of a Cluster that serves `key`: CRC16 of its hash tag, or of all of it."""
    tag = re.search(r"\{([^}]+)\}", key[key.find("{") :]) if "{" in key else None
    if tag is not None and tag.start() != 0:
        tag = None  # an empty tag "{}" comes first: then the whole key counts
    return crc_hqx((tag.group(1) if tag else key).encode(), 0) % SLOTS


def has_hash_tag(prefix: str) -> bool:
    """Whether all keys that start with `prefix` share one slot."""
    return key_slot(prefix + "a") == key_slot(prefix + "b")


def _unix(rest: str) -> Site:
    path, _, query = rest.partition("?db=")
    if len(path.encode()) > MAX_UNIX_PATH_BYTES:
        text = f"names a socket path of more than {MAX_UNIX_PATH_BYTES} bytes; use a shorter one"
        raise SettingsError((Problem("redis.url", text),))
    address = Address(path=path, db=int(query or 0))
    return Site((address,), db=address.db)


def _server(text: str, default_port: int, db: int, tls: bool) -> Address:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    return Address(host, int(port or default_port), db=db, tls=tls)
