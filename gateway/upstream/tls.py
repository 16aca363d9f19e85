"""How endpoints behind https:// are spoken to."""

from __future__ import annotations

import ssl

from gateway.config.settings import Upstream


def client_context(upstream: Upstream) -> ssl.SSLContext:
    """Verifies endpoints by the settings' CA or the system's, and shows our certificate, if any.

    The settings have passed their checks: files are there and fit together.
    """
    context = ssl.create_default_context(cafile=upstream.tls_ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if upstream.tls_cert:
        context.load_cert_chain(upstream.tls_cert, upstream.tls_key)
    if not upstream.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
