"""Which certificate of a gateway a command believes, and what to say of one that it does not.

Of a gateway of this very machine the certificate file is known, and just that certificate is
believed, whoever made it and for whatever name. Any other gateway must show one that chains to a
CA: those of the system, or the one that the user names.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config.variables import GATEWAY_CA_VARIABLE
from gateway.errors import UsageError

_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Trust:
    """A CA file or, of a gateway beside us, its certificate file; neither = the system's CAs."""

    ca: str = ""
    own_cert: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], own_cert: str) -> Trust:
        ca = environ.get(GATEWAY_CA_VARIABLE, "")
        return cls(ca=ca) if ca else cls(own_cert=own_cert)

    def context(self) -> ssl.SSLContext:
        if self.own_cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False  # `wrong_with` looks at the certificate itself
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except ssl.SSLError:
            raise UsageError(f"{GATEWAY_CA_VARIABLE} names a file without certificates.") from None
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or "it is no path"
            raise UsageError(
                f"{GATEWAY_CA_VARIABLE} names a file that cannot be read: {said}."
            ) from None

    def wrong_with(self, sock: ssl.SSLSocket, url: str) -> str | None:
        """To ask before anything is said: whether this is the gateway beside us, if it must be."""
        if not self.own_cert:
            return None
        try:
            text = Path(self.own_cert).read_text("ascii").partition(_END)[0]
            begin = text.index("-----BEGIN CERTIFICATE-----")
            known = ssl.PEM_cert_to_DER_cert(text[begin:] + _END)
        except (OSError, ValueError):
            known = b""
        if known == sock.getpeercert(binary_form=True):
            return None
        return (
            f"What answers at {url} does not show the certificate in {self.own_cert}, which "
            f"is that of the gateway here; name its CA's file with {GATEWAY_CA_VARIABLE}."
        )


NO_CA = Trust()


def why_no_tls(url: str, error: ssl.SSLError) -> str:
    """One sentence for a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message.rstrip(".")
        if error.verify_code in (62, 64):  # another host's name or address
            return f"The certificate of the gateway at {url} is another's ({said}); use its name."
        return (
            f"The certificate of the gateway at {url} is not trusted ({said}); name the file of "
            f"its CA with {GATEWAY_CA_VARIABLE}."
        )
    said = (error.reason or "no reason given").lower().replace("_", " ")
    return f"What answers at {url} does not speak TLS as it should ({said}); is it http://?"
