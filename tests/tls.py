"""A store behind TLS, and the certificates for it; skipped where Debian's programs are absent."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import pytest
import redis

from tests.servers import HOST, Options, Server, redis_binary


class Authority:
    """A CA made with the openssl command; skips the test where that is absent."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not on PATH")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = str(folder / "ca.pem")
        self._ca_key = str(folder / "ca.key")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subject = ["-subj", f"/CN={name}", "-days", "2"]
        _openssl("req", "-x509", *curve, "-keyout", self._ca_key, "-out", self.ca, *subject)

    def issue(self, name: str) -> tuple[str, str]:
        """The files of a certificate for the loopback host, and of its key."""
        key, request = self._folder / f"{name}.key", self._folder / f"{name}.csr"
        certificate, extensions = self._folder / f"{name}.pem", self._folder / f"{name}.ext"
        if not certificate.exists():
            extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            made = ["-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}"]
            _openssl("req", *curve, *made)
            signed_by = ["-CA", self.ca, "-CAkey", self._ca_key, "-CAcreateserial", "-days", "2"]
            files = ["-in", str(request), "-out", str(certificate), "-extfile", str(extensions)]
            _openssl("x509", "-req", *files, *signed_by)
        return str(certificate), str(key)


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class TlsRedis(Server):
    """Debian's Redis behind TLS only, certified by `authority`."""

    def __init__(
        self, authority: Authority, *, wants_client: bool = False, **options: Unpack[Options]
    ) -> None:
        super().__init__(redis_binary(), **options)
        self.authority = authority
        self._wants_client = wants_client
        self._pair = authority.issue("server")

    @property
    def url(self) -> str:
        return f"rediss://{HOST}:{self.port}/0"

    @contextmanager
    def client(self, **options: Any) -> Iterator[redis.Redis]:
        certificate, key = self.authority.issue("client")
        tls = {
            "ssl": True,
            "ssl_ca_certs": self.authority.ca,
            "ssl_certfile": certificate,
            "ssl_keyfile": key,
        }
        with super().client(**(tls | options)) as client:
            yield client

    def _listen_options(self) -> list[str]:
        words = ["--port", "0", "--tls-port", str(self.port)]
        words += ["--tls-ca-cert-file", self.authority.ca]
        words += ["--tls-cert-file", self._pair[0], "--tls-key-file", self._pair[1]]
        return [*words, "--tls-auth-clients", "yes" if self._wants_client else "no"]
