"""The gateway's own certificate on one of its ports, taken anew when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from gateway.config.settings import Admin, Listen

_log = logging.getLogger(__name__)


class ServerCertificate:
    """A TLS context whose certificate follows the files that it was read from."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self._seen = self._stamp()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.load_cert_chain(cert, key)

    @classmethod
    def of(cls, port: Listen | Admin) -> ServerCertificate | None:
        if not port.tls_cert:
            return None
        return cls(Path(port.tls_cert), Path(port.tls_key))

    def __repr__(self) -> str:
        return f"<ServerCertificate of {self._cert}>"

    def renew(self) -> None:
        """Look at the files; new connections get the new certificate, a broken one changes nothing.

        The pair is tried in a context of its own first: while only one of the two files has been
        replaced they do not belong together.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._cert, self._key)
            self.context.load_cert_chain(self._cert, self._key)
        except (OSError, ssl.SSLError) as error:
            _log.warning("The changed certificate is not used yet: %s", error)
        else:
            _log.info("The changed certificate is in use.")
        self._seen = stamp

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        found = []
        for path in (self._cert, self._key):
            try:
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_ino))
            except OSError:
                found.append((0, 0))
        return tuple(found)
