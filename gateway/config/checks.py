"""What the settings must be among themselves; nothing here touches the network."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.config.endpoints import endpoint_networks, port_ranges
from gateway.config.networks import networks_of
from gateway.config.settings import Settings
from gateway.config.store_url import is_plain_text, url_problem
from gateway.config.tls_files import wrong_with_tls

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PLUGIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_EVERY_ADDRESS = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, said so that it is clear wherever it stands; `keys` led to it."""

    keys: tuple[str, ...]
    what: str


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that each setting alone does not show."""
    yield from _hosts(settings)
    yield from _ports(settings)
    yield from _redis(settings)
    yield from _redis_tls(settings)
    yield from _own_tls(settings)
    yield from _upstream_tls(settings)
    yield from _endpoints(settings)
    yield from _limits(settings)
    yield from _trusted_proxies(settings)
    yield from _token(settings)
    yield from _four_eyes(settings)
    yield from _access_log(settings)
    yield from _tracing(settings)
    yield from _prometheus(settings)
    yield from _compare_plugins(settings)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address; of names, only localhost is sure to be."""
    if host == "localhost":
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _hosts(settings: Settings) -> Iterator[Finding]:
    for key, host in (("listen.host", settings.listen.host), ("admin.host", settings.admin.host)):
        if _address(host) is None and not _HOST_NAME.fullmatch(host):
            what = "must be an address or a host name, without a port; 0.0.0.0 = every address"
            yield Finding((key,), what)


def _ports(settings: Settings) -> Iterator[Finding]:
    listen, admin = settings.listen, settings.admin
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (listen.host, admin.host)}
    overlap = len(hosts) == 1 or not hosts.isdisjoint(_EVERY_ADDRESS)
    if listen.port == admin.port != 0 and overlap:
        keys = ("admin.port", "listen.port", "admin.host", "listen.host")
        what = f"listen.port and admin.port are both {admin.port} on one host; give each its own"
        yield Finding(keys, what)


def _redis(settings: Settings) -> Iterator[Finding]:
    problem = url_problem(settings.redis.url)
    if problem:
        yield Finding(("redis.url",), problem)
    if not settings.redis.prefix.endswith(":"):
        what = "must end with a colon, as in gray: or, on Redis Cluster, {gray}:"
        yield Finding(("redis.prefix",), what)


def _redis_tls(settings: Settings) -> Iterator[Finding]:
    redis = settings.redis
    yield from _tls_files("redis", ca=redis.tls_ca, cert=redis.tls_cert, key=redis.tls_key)
    files = {"tls_ca": redis.tls_ca, "tls_cert": redis.tls_cert, "tls_key": redis.tls_key}
    named = [f"redis.{name}" for name, path in files.items() if path]
    if named and is_plain_text(redis.url) and not url_problem(redis.url):
        what = f"{', '.join(named)} is set but redis.url speaks no TLS; start it with rediss://"
        yield Finding(("redis.url", *named), what)


def _own_tls(settings: Settings) -> Iterator[Finding]:
    yield from _tls_files("listen", cert=settings.listen.tls_cert, key=settings.listen.tls_key)
    yield from _tls_files("admin", cert=settings.admin.tls_cert, key=settings.admin.tls_key)


def _upstream_tls(settings: Settings) -> Iterator[Finding]:
    upstream = settings.upstream
    yield from _tls_files(
        "upstream", ca=upstream.tls_ca, cert=upstream.tls_cert, key=upstream.tls_key
    )
    if upstream.tls_ca and not upstream.tls_verify:
        what = "upstream.tls_ca is of no use while upstream.tls_verify is false; drop one of them"
        yield Finding(("upstream.tls_verify", "upstream.tls_ca"), what)


def _tls_files(section: str, *, ca: str = "", cert: str = "", key: str = "") -> Iterator[Finding]:
    for keys, what in wrong_with_tls(section, ca=ca, cert=cert, key=key):
        yield Finding(keys, what)


def _endpoints(settings: Settings) -> Iterator[Finding]:
    upstream = settings.upstream
    lists = {"allowed": upstream.allowed_networks, "denied": upstream.denied_networks}
    for name, words in lists.items():
        try:
            endpoint_networks(words)
        except ValueError:
            what = "must list networks such as 10.0.0.0/8, or the words private, unsafe, *"
            yield Finding((f"upstream.{name}_networks",), what)
    try:
        port_ranges(upstream.allowed_ports)
    except ValueError:
        what = "must list ports from 1 to 65535 such as 443 or 8000-8999, or *"
        yield Finding(("upstream.allowed_ports",), what)


def _limits(settings: Settings) -> Iterator[Finding]:
    limits = settings.limits
    if limits.line_bytes > limits.head_bytes:
        what = (
            f"limits.line_bytes is {limits.line_bytes}, more than the {limits.head_bytes} of "
            "limits.head_bytes: one line does not fit into the head it is part of"
        )
        yield Finding(("limits.line_bytes", "limits.head_bytes"), what)


def _trusted_proxies(settings: Settings) -> Iterator[Finding]:
    for network in settings.routing.trusted_proxies:
        try:
            networks_of([network])
        except ValueError:
            what = (
                f"{network!r} is not a network such as 10.0.0.0/8, nor private, nor *"
                f"{_meant(network)}"
            )
            yield Finding(("routing.trusted_proxies",), what)


def _meant(network: str) -> str:
    try:
        return f"; did you mean {ipaddress.ip_network(network, strict=False)}?"
    except ValueError:
        return ""


def _token(settings: Settings) -> Iterator[Finding]:
    admin = settings.admin
    if not admin.token and not is_loopback(admin.host):
        what = (
            "without a token the admin port stays on loopback; set admin.token or "
            "admin.token_file, or admin.host to 127.0.0.1"
        )
        yield Finding(("admin.host", "admin.token"), what)
    if not re.fullmatch(r"[!-~]*", admin.token.reveal()):
        what = "must be printable ASCII without blanks: it travels in an Authorization header"
        yield Finding(("admin.token",), what)


def _four_eyes(settings: Settings) -> Iterator[Finding]:
    if settings.admin.four_eyes and not settings.admin.token:
        what = "tells people apart by their tokens, so it needs admin.token or admin.token_file"
        yield Finding(("admin.four_eyes", "admin.token"), what)


def _access_log(settings: Settings) -> Iterator[Finding]:
    path = settings.access_log.path
    if path in ("", "auto", "stdout", "stderr"):
        return
    if "\0" in path or Path(path).is_dir():
        yield Finding(("access_log.path",), "must name a file, stdout or stderr")
    elif not Path(path).parent.is_dir():
        yield Finding(("access_log.path",), "names a file in a folder that is not there")


def _tracing(settings: Settings) -> Iterator[Finding]:
    url = settings.tracing.otlp_url
    if not url:
        return
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        what = "must be the http:// or https:// URL of a collector, without credentials and query"
        yield Finding(("tracing.otlp_url",), what)
    elif not has_otel():
        what = "needs the extra otel; install it with: pip install 'graygate[otel]'"
        yield Finding(("tracing.otlp_url",), what)


def _compare_plugins(settings: Settings) -> Iterator[Finding]:
    for name in settings.release.compare_plugins:
        if not _PLUGIN.fullmatch(name):
            what = "must name functions as module:function, as in my_metrics:distance"
            yield Finding(("release.compare_plugins",), what)
            return


def _prometheus(settings: Settings) -> Iterator[Finding]:
    url = settings.release.prometheus_url
    if url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        what = "must be the http:// or https:// URL of a Prometheus, without credentials and query"
        yield Finding(("release.prometheus_url",), what)


def has_otel() -> bool:
    """Whether what the extra `otel` installs is there."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
