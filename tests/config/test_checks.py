from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.config.checks import findings, has_otel, is_loopback
from gateway.config.secret import Secret
from gateway.config.settings import (
    AccessLog,
    Admin,
    Limits,
    Listen,
    Redis,
    Release,
    Routing,
    Settings,
    Tracing,
    Upstream,
)
from tests.tls import Authority


def told(settings: Settings) -> list[tuple[str, str]]:
    return [(finding.keys[0], finding.what) for finding in findings(settings)]


def keys(settings: Settings) -> list[str]:
    return [finding.keys[0] for finding in findings(settings)]


def test_the_defaults_are_sound() -> None:
    assert told(Settings()) == []


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
    ],
)
def test_loopback_is_what_no_other_machine_can_reach(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway.internal"])
def test_without_a_token_the_admin_port_stays_on_loopback(host: str) -> None:
    ((key, what),) = told(Settings(admin=Admin(host=host)))
    assert key == "admin.host"
    assert "admin.token" in what
    assert told(Settings(admin=Admin(host=host, token=Secret("t")))) == []


@pytest.mark.parametrize("token", ["with blank", "line\n", "gr\u00fcn", "\x00"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    ((key, what),) = told(Settings(admin=Admin(token=Secret(token))))
    assert key == "admin.token"
    assert token not in what


@pytest.mark.parametrize(
    ("listen", "admin", "clash"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("::", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_two_ports_of_one_host_must_differ(listen: str, admin: str, clash: bool) -> None:
    same = Settings(listen=Listen(host=listen, port=90), admin=Admin(host=admin, port=90))
    assert bool(told(same)) is clash
    free = Settings(listen=Listen(host=listen, port=0), admin=Admin(host=admin, port=0))
    assert told(free) == []


@pytest.mark.parametrize("host", ["", "a b", "http://a", "127.0.0.1:80", "[::1]", "a/8", "-a"])
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    ((key, what),) = told(Settings(listen=Listen(host=host)))
    assert key == "listen.host"
    assert "without a port" in what


@pytest.mark.parametrize("prefix", ["", "gray", "{gray}", "gray: "])
def test_a_prefix_ends_with_a_colon(prefix: str) -> None:
    assert keys(Settings(redis=Redis(prefix=prefix))) == ["redis.prefix"]


@pytest.mark.parametrize("prefix", ["gray:", "{gray}:", ":"])
def test_a_prefix_with_a_colon_is_fine(prefix: str) -> None:
    assert told(Settings(redis=Redis(prefix=prefix))) == []


@pytest.mark.parametrize("section", ["redis", "listen", "upstream", "admin"])
def test_tls_files_must_be_there(section: str) -> None:
    cert, key = "no.crt", "\0"
    settings = {
        "redis": Settings(redis=Redis(url="rediss://h", tls_cert=cert, tls_key=key)),
        "listen": Settings(listen=Listen(tls_cert=cert, tls_key=key)),
        "upstream": Settings(upstream=Upstream(tls_cert=cert, tls_key=key)),
        "admin": Settings(admin=Admin(tls_cert=cert, tls_key=key)),
    }[section]
    assert told(settings) == [
        (f"{section}.tls_cert", "names a file that is not there"),
        (f"{section}.tls_key", "names a file that is not there"),
    ]


def test_an_authority_of_upstreams_or_of_the_store_must_be_there() -> None:
    assert keys(Settings(redis=Redis(url="rediss://h", tls_ca="no.pem"))) == ["redis.tls_ca"]
    assert keys(Settings(upstream=Upstream(tls_ca="no.pem"))) == ["upstream.tls_ca"]


def test_tls_files_beside_a_url_without_tls_are_refused(tmp_path: Path) -> None:
    ca = Authority(tmp_path).ca
    ((key, what),) = told(Settings(redis=Redis(url="redis://h", tls_ca=ca)))
    assert key == "redis.url"
    assert "rediss://" in what
    assert told(Settings(redis=Redis(url="rediss://h", tls_ca=ca))) == []


def test_an_authority_that_nobody_asks_is_refused(tmp_path: Path) -> None:
    ca = Authority(tmp_path).ca
    assert told(Settings(upstream=Upstream(tls_ca=ca))) == []
    assert keys(Settings(upstream=Upstream(tls_ca=ca, tls_verify=False))) == ["upstream.tls_verify"]


def test_a_line_fits_into_a_head() -> None:
    assert told(Settings(limits=Limits(line_bytes=4096, head_bytes=4096))) == []
    ((key, what),) = told(Settings(limits=Limits(line_bytes=4097, head_bytes=4096)))
    assert key == "limits.line_bytes"
    assert "4097" in what and "limits.head_bytes" in what


def test_credentials_in_the_url_are_found_and_not_shown() -> None:
    ((key, what),) = told(Settings(redis=Redis(url="redis://:hunter2@h")))
    assert key == "redis.url"
    assert "hunter2" not in what


@pytest.mark.parametrize(
    "networks", [("*",), (), ("10.0.0.0/8", "::1/128"), ("127.0.0.1",), ("2001:db8::/32",)]
)
def test_trusted_proxies_are_networks_or_everyone(networks: tuple[str, ...]) -> None:
    assert told(Settings(routing=Routing(trusted_proxies=networks))) == []


def test_every_trusted_proxy_that_is_no_network_is_told() -> None:
    routing = Routing(trusted_proxies=("10.0.0.1/8", "proxy", "10.0.0.0/33", "*"))
    wrong = "is not a network such as 10.0.0.0/8, nor private, nor *"
    assert told(Settings(routing=routing)) == [
        ("routing.trusted_proxies", f"'10.0.0.1/8' {wrong}; did you mean 10.0.0.0/8?"),
        ("routing.trusted_proxies", f"'proxy' {wrong}"),
        ("routing.trusted_proxies", f"'10.0.0.0/33' {wrong}"),
    ]


@pytest.mark.parametrize("path", ["", "auto", "stdout", "stderr", "access.log"])
def test_an_access_log_goes_where_it_can_go(path: str) -> None:
    assert told(Settings(access_log=AccessLog(path=path))) == []


def test_an_access_log_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for path in (str(tmp_path), "a\0b"):
        ((key, what),) = told(Settings(access_log=AccessLog(path=path)))
        assert (key, what) == ("access_log.path", "must name a file, stdout or stderr")
    ((_, what),) = told(Settings(access_log=AccessLog(path=str(tmp_path / "no" / "log"))))
    assert what == "names a file in a folder that is not there"


@pytest.mark.parametrize("url", ["http://c:4318", "https://collector/own/path", "http://[::1]:1/"])
def test_a_collector_is_a_url(url: str) -> None:
    assert told(Settings(tracing=Tracing(otlp_url=url))) == []


@pytest.mark.parametrize(
    "url", ["collector:4317", "grpc://c", "http://", "http://u:hunter2@c", "http://c/?k=hunter2"]
)
def test_another_address_of_a_collector_is_refused_and_not_shown(url: str) -> None:
    ((key, what),) = told(Settings(tracing=Tracing(otlp_url=url)))
    assert key == "tracing.otlp_url"
    assert "http://" in what and "hunter2" not in what


def test_a_collector_without_the_extra_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.config.checks.has_otel", lambda: False)
    ((key, what),) = told(Settings(tracing=Tracing(otlp_url="http://c:4318")))
    assert key == "tracing.otlp_url"
    assert what == "needs the extra otel; install it with: pip install 'graygate[otel]'"
    assert told(Settings()) == []


def test_an_extra_that_is_not_there_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_otel()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    assert not has_otel()


@pytest.mark.parametrize("name", ["os", "os:", ":system", "os system", "os:a.b", "a..b:c", "a:b()"])
def test_a_function_is_named_with_its_module(name: str) -> None:
    assert told(Settings(release=Release(compare_plugins=("my.metrics:far", name)))) == [
        (
            "release.compare_plugins",
            "must name functions as module:function, as in my_metrics:distance",
        )
    ]
    assert not keys(Settings(release=Release(compare_plugins=("my.metrics:far",))))
