"""Store URLs and slots of a Cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SettingsError
from gateway.state.url import Address, Site, has_hash_tag, key_slot, parse_url
from tests.servers import Valkey, free_port


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("redis://localhost", Site((Address("localhost", 6379),))),
        ("redis://10.0.0.1:7000/3", Site((Address("10.0.0.1", 7000, db=3),), db=3)),
        ("redis://[::1]:7000/", Site((Address("::1", 7000),))),
        ("redis://[::1]", Site((Address("::1", 6379),))),
        ("rediss://store.example/2", Site((Address("store.example", 6379, db=2, tls=True),), db=2)),
        ("unix:///run/x/valkey.sock", Site((Address(path="/run/x/valkey.sock"),))),
        ("unix:///run/s?db=4", Site((Address(path="/run/s", db=4),), db=4)),
        (
            "redis+sentinel://a,[::2]:7,c:8/main/5",
            Site((Address("a", 26379), Address("::2", 7), Address("c", 8)), "main", 5),
        ),
        ("redis+sentinel://a/main", Site((Address("a", 26379),), "main")),
    ],
)
def test_a_url_names_servers(url: str, site: Site) -> None:
    assert parse_url(url) == site


def test_sentinels_speak_tls_when_told_so() -> None:
    site = parse_url("redis+sentinel://a,b/main", tls=True)
    assert [address.tls for address in site.addresses] == [True, True]
    assert site.has_sentinels


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://host:0",
        "redis://host:99999",
        "redis://host:port",
        "redis://host/name",
        "redis://::1:6379",
        "redis://user:s3cr3t@host",
        "unix://relative",
        "unix:///run/s?db=x",
        "unix:///" + "x" * 200,
        "redis+sentinel://a,b",
        "redis+sentinel://a,,b/main",
        "redis+sentinel://a/main/x",
    ],
)
def test_a_wrong_url_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_url(url)
    [problem] = caught.value.problems
    assert problem.where == "redis.url"
    assert "s3cr3t" not in str(caught.value)


def test_an_address_prints_as_people_write_it() -> None:
    assert str(Address("10.0.0.1", 7000, db=2, tls=True)) == "10.0.0.1:7000"
    assert str(Address("::1", 7000)) == "[::1]:7000"
    assert str(Address(path="/run/s")) == "/run/s"


@pytest.mark.parametrize(
    ("key", "slot"), [("", 0), ("123456789", 12739), ("foo", 12182), ("{foo}bar", 12182)]
)
def test_known_slots(key: str, slot: int) -> None:
    assert key_slot(key) == slot


KEYS = [
    "{}x",
    "{}{a}",
    "a{",
    "a{b",
    "a}b{c}d",
    "{{a}}",
    "{a}{b}",
    "x{a}y",
    "}{",
    "{gray}:routes",
    "ü{ö}",
]


def test_slots_are_those_of_the_server() -> None:
    words = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with Valkey(arguments=words) as server, server.client() as client:
        for key in KEYS:
            assert key_slot(key) == client.cluster("KEYSLOT", key), key


@given(st.text(max_size=20))
def test_every_key_has_a_slot(key: str) -> None:
    assert 0 <= key_slot(key) < 16384


@pytest.mark.parametrize(
    ("prefix", "has_tag"),
    [("gray:", False), ("{gray}:", True), ("a{gray}b", True), ("{}:", False), ("{gray:", False)],
)
def test_a_prefix_with_a_hash_tag_keeps_all_keys_together(prefix: str, has_tag: bool) -> None:
    assert has_hash_tag(prefix) is has_tag
