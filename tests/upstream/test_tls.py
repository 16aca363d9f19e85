"""What endpoints behind TLS are held to."""

from __future__ import annotations

import ssl

from gateway.config.settings import Upstream
from gateway.upstream.tls import client_context
from tests.tls import Authority


def test_endpoints_are_verified_by_the_systems_authorities_unless_told_otherwise() -> None:
    context = client_context(Upstream())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_an_authority_of_ones_own_replaces_the_systems(authority: Authority) -> None:
    [known] = client_context(Upstream(tls_ca=authority.ca)).get_ca_certs()
    assert known["subject"] == ((("commonName", "Test CA"),),)


def test_verification_can_be_switched_off() -> None:
    context = client_context(Upstream(tls_verify=False))
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname
