from __future__ import annotations

import pytest

from gateway.config.checks import findings
from gateway.config.endpoints import EndpointRule, endpoint_rule
from gateway.config.settings import Admin, Listen, Redis, Settings, Upstream

METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    "host",
    [
        METADATA,
        f"[::ffff:{METADATA}]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
    ],
)
def test_A08_what_hands_out_credentials_or_is_nobody_is_refused(host: str) -> None:
    wrong = EndpointRule().wrong_with_url(f"http://{host}:8000/latest")
    assert wrong is not None
    assert "upstream.denied_networks" in wrong


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001",
        "http://localhost:9001",
        "http://[::1]:9001",
        "http://10.0.0.1",
        "https://models.example/v1",
        "http+unix://%2Frun%2Fmodel.sock",
    ],
)
def test_loopback_private_networks_names_and_sockets_are_allowed(url: str) -> None:
    assert endpoint_rule(Settings()).wrong_with_url(url) is None


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://127.0.0.1:8080", "own data port"),
        ("http://127.9.9.9:8080", "own data port"),
        ("http://localhost:8080", "own data port"),
        ("http://a.localhost.:8080", "own data port"),
        ("http://[::ffff:127.0.0.1]:8080", "own data port"),
        ("http://127.0.0.1:8081", "own admin port"),
        ("http://localhost:8081/api", "own admin port"),
        ("http://10.0.0.5:6380", "port of the store"),
        ("http://10.0.0.6:6379", "port of the store"),
        ("http://gray.example:8080", None),
        ("http://127.0.0.2:8081", None),  # the admin port is bound to another address
        ("http://10.0.0.7:6379", None),
    ],
)
def test_A09_nothing_leads_back_to_the_gateway_or_its_store(url: str, what: str | None) -> None:
    rule = endpoint_rule(Settings(redis=Redis(url="redis://10.0.0.5:6380,10.0.0.6/0")))
    wrong = rule.wrong_with_url(url)
    assert (what in wrong) if what and wrong else wrong is what


def test_a_name_that_the_gateway_is_told_to_bind_to_is_its_own() -> None:
    settings = Settings(
        listen=Listen(host="gray.example", port=80),
        admin=Admin(host="10.0.0.9"),
        redis=Redis(url="unix:///run/store.sock"),
    )
    rule = endpoint_rule(settings)
    assert rule.wrong_with_url("http://gray.example") is not None
    assert rule.wrong_with_url("http://10.0.0.9:8081") is not None
    assert rule.wrong_with_url("http+unix://%2Frun%2Fstore.sock") == "it is the socket of the store"
    assert rule.wrong_with_url("http+unix://%2Frun%2Fother.sock") is None


def test_a_connection_between_our_own_addresses_is_known_by_its_ends() -> None:
    rule = endpoint_rule(Settings())
    assert rule.wrong_with_connection("10.1.2.3", "10.1.2.3", 8080) is not None
    assert rule.wrong_with_connection("10.1.2.3", "10.1.2.4", 8080) is None
    assert rule.wrong_with_connection("10.1.2.3", "10.1.2.3", 9000) is None


def test_networks_and_ports_are_what_the_settings_say() -> None:
    upstream = Upstream(
        allowed_networks=("10.0.0.0/8", "127.0.0.0/8"),
        denied_networks=("10.6.6.0/24",),
        allowed_ports=("443", "8000-8999"),
    )
    rule = EndpointRule(upstream)
    assert rule.wrong_with_url("http://10.1.1.1:8000") is None
    assert "allowed_networks" in str(rule.wrong_with_url("http://192.168.1.1:8000"))
    assert "denied_networks" in str(rule.wrong_with_url("http://10.6.6.1:8000"))
    assert "port 80 " in str(rule.wrong_with_url("http://10.1.1.1"))
    assert "port 9000 " in str(rule.wrong_with_address("10.1.1.1", 9000))
    assert rule.wrong_with_url("https://models.example") is None
    open_rule = EndpointRule(Upstream(denied_networks=()))
    assert open_rule.wrong_with_url(f"http://{METADATA}") is None


@pytest.mark.parametrize(
    ("upstream", "key"),
    [
        (Upstream(allowed_networks=("10.0.0.1/8",)), "upstream.allowed_networks"),
        (Upstream(denied_networks=("metadata",)), "upstream.denied_networks"),
        (Upstream(allowed_ports=("http",)), "upstream.allowed_ports"),
        (Upstream(allowed_ports=("90-80",)), "upstream.allowed_ports"),
        (Upstream(allowed_ports=("0",)), "upstream.allowed_ports"),
    ],
)
def test_what_is_no_network_or_port_is_found_at_the_start(upstream: Upstream, key: str) -> None:
    [finding] = findings(Settings(upstream=upstream))
    assert finding.keys == (key,)
