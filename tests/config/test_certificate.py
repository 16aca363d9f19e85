from __future__ import annotations

import logging
import shutil
import socket
import ssl
import threading
from pathlib import Path

import pytest

from gateway.config.certificate import ServerCertificate
from gateway.config.settings import Admin, Listen
from tests.tls import Authority


@pytest.fixture
def pair(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key in files that a test may replace."""
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    put(authority, "first", cert, key)
    return cert, key


def put(authority: Authority, name: str, cert: Path, key: Path) -> None:
    for source, target in zip(authority.issue(name), (cert, key), strict=True):
        copy = target.with_suffix(".new")
        shutil.copy(source, copy)
        copy.replace(target)


def shown(context: ssl.SSLContext, authority: Authority) -> str:
    """The name in the certificate that a client is shown."""
    near, far = socket.socketpair()

    def serve() -> None:
        with far, context.wrap_socket(far, server_side=True) as served:
            served.recv(1)

    serving = threading.Thread(target=serve)
    serving.start()
    trusting = ssl.create_default_context(cafile=authority.ca)
    with near, trusting.wrap_socket(near, server_hostname="localhost") as client:
        certificate = client.getpeercert()
        client.sendall(b"x")
    serving.join()
    return str(certificate).partition("(('commonName', '")[2].partition("'")[0]


def test_a_port_without_a_certificate_speaks_no_tls() -> None:
    assert ServerCertificate.of(Listen()) is None
    assert ServerCertificate.of(Admin()) is None


@pytest.mark.parametrize("section", [Listen, Admin])
def test_each_port_has_its_own(
    section: type[Listen] | type[Admin], pair: tuple[Path, Path], authority: Authority
) -> None:
    cert, key = map(str, pair)
    own = ServerCertificate.of(section(tls_cert=cert, tls_key=key))
    assert own is not None
    assert repr(own) == f"<ServerCertificate of {cert}>"
    assert shown(own.context, authority) == "first"


def test_a_changed_certificate_is_shown_from_the_next_connection_on(
    pair: tuple[Path, Path], authority: Authority
) -> None:
    own = ServerCertificate(*pair)
    put(authority, "second", *pair)
    assert shown(own.context, authority) == "first"
    own.renew()
    assert shown(own.context, authority) == "second"


def test_a_broken_certificate_or_half_a_pair_changes_nothing_and_is_told_once(
    pair: tuple[Path, Path], authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = pair
    own = ServerCertificate(cert, key)
    put(authority, "second", cert, cert.with_name("elsewhere"))
    with caplog.at_level(logging.INFO):
        own.renew()
        own.renew()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        cert.unlink()
        own.renew()
        assert shown(own.context, authority) == "first"
        put(authority, "second", cert, key)
        own.renew()
    assert shown(own.context, authority) == "second"
    assert caplog.records[-1].getMessage() == "The changed certificate is in use."
