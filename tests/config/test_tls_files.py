from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gateway.config.tls_files import NOT_THERE, wrong_with_tls
from tests.tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def told(**files: str) -> list[tuple[tuple[str, ...], str]]:
    return list(wrong_with_tls("listen", **files))


def test_nothing_named_is_fine() -> None:
    assert told() == []


def test_a_pair_and_its_authority_are_fine(authority: Authority) -> None:
    cert, key = authority.issue("server")
    assert told(cert=cert, key=key) == []
    assert told(ca=authority.ca) == []
    assert told(ca=authority.ca, cert=cert, key=key) == []


@pytest.mark.parametrize("path", ["no.pem", "\0", "."])
def test_every_file_must_be_there(path: str) -> None:
    assert told(ca=path, cert=path, key=path) == [
        (("listen.tls_ca",), NOT_THERE),
        (("listen.tls_cert",), NOT_THERE),
        (("listen.tls_key",), NOT_THERE),
    ]


def test_certificate_and_key_come_together(authority: Authority) -> None:
    cert, key = authority.issue("server")
    assert told(cert=cert) == [
        (("listen.tls_cert", "listen.tls_key"), "listen.tls_cert needs listen.tls_key beside it")
    ]
    assert told(key=key) == [
        (("listen.tls_key", "listen.tls_cert"), "listen.tls_key needs listen.tls_cert beside it")
    ]


def test_a_key_of_another_certificate_is_found(authority: Authority) -> None:
    cert, _ = authority.issue("server")
    _, key = authority.issue("client")
    ((keys, what),) = told(cert=cert, key=key)
    assert keys == ("listen.tls_cert", "listen.tls_key")
    assert what == "listen.tls_key is not the key of the certificate in listen.tls_cert"


def test_a_key_with_a_password_is_refused_without_asking(
    authority: Authority, tmp_path: Path
) -> None:
    cert, key = authority.issue("server")
    locked = str(tmp_path / "locked.key")
    words = ["ec", "-in", key, "-aes256", "-passout", "pass:hunter2", "-out", locked]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    ((_, what),) = told(cert=cert, key=locked)
    assert what.endswith("must name a PEM certificate and its open key")


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "f.pem"
    other.write_text("hello")
    path = str(other)
    assert told(ca=path) == [(("listen.tls_ca",), "holds no PEM certificate")]
    ((keys, _),) = told(cert=path, key=path)
    assert keys == ("listen.tls_cert", "listen.tls_key")
