"""What URLs of endpoints say."""

from __future__ import annotations

import pytest

from gateway.state.versions import wrong_with_url
from gateway.upstream.address import parse_target


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path", "is_literal"),
    [
        ("http://model", "model", 80, b"model", b"", False),
        ("http://model:80", "model", 80, b"model", b"", False),
        ("http://model:8000/", "model", 8000, b"model:8000", b"", False),
        ("HTTP://Model:8000", "model", 8000, b"model:8000", b"", False),
        ("https://model", "model", 443, b"model", b"", False),
        ("https://model:80", "model", 80, b"model:80", b"", False),
        ("http://10.0.0.1:8000/v1/", "10.0.0.1", 8000, b"10.0.0.1:8000", b"/v1", True),
        ("http://[::1]", "::1", 80, b"[::1]", b"", True),
        ("http://[fd00::1]:9/a//b%20", "fd00::1", 9, b"[fd00::1]:9", b"/a//b%20", True),
    ],
)
def test_a_url_names_host_port_and_prefix(
    url: str, host: str, port: int, authority: bytes, path: bytes, is_literal: bool
) -> None:
    target = parse_target(url)
    assert (target.host, target.port, target.authority) == (host, port, authority)
    assert (target.path, target.is_literal, target.unix_path) == (path, is_literal, "")
    assert target.is_tls == url.startswith("https")
    assert target.url == url


def test_a_socket_is_named_by_its_encoded_path() -> None:
    target = parse_target("http+unix://%2Frun%2Fmy%20Model.sock/prefix/")
    assert target.unix_path == target.place == "/run/my Model.sock"
    assert (target.path, target.authority, target.is_tls) == (b"/prefix", b"localhost", False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "model:8000",
        "ftp://model",
        "https+unix://%2Frun%2Fx.sock",
        "http:///path",
        "http://:80",
        "http://model:0",
        "http://model:99999",
        "http://model:x",
        "http://user@model",
        "http://model/?a=1",
        "http://model/#a",
        "http://mo del",
        "http://model/\r\nX: 1",
        "http://modèle",
        "http://[::1",
        "http+unix:///run/x.sock",
        "http+unix://run%2Fx.sock",
        "http+unix://%2Frun%2Fx%00.sock",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_target(url)
    assert wrong_with_url(url), "what is refused here must not get into a table"


@pytest.mark.parametrize(
    "url",
    [
        "http://a_b.example.com:1/x",
        "https://[2001:db8::1]:8443/p",
        "http+unix://%2Frun%2Fm.sock",
        "http://model./",
        'http://model/a"b<c>[d]',
    ],
)
def test_what_the_contract_accepts_can_be_connected_to(url: str) -> None:
    assert wrong_with_url(url) is None
    parse_target(url)
