"""What the settings say about whom to believe, ready for the decision."""

from __future__ import annotations

from gateway.config.settings import Routing
from gateway.errors import Problem, SettingsError
from gateway.routing.jwt import JwtVerifier
from gateway.routing.table import Identity


def identity_of(settings: Routing) -> Identity:
    """SettingsError when the key for JWTs cannot be used."""
    verifier = None
    if settings.jwt_key:
        key, issuer, audience = (
            settings.jwt_key.reveal(),
            settings.jwt_issuer,
            settings.jwt_audience,
        )
        try:
            verifier = JwtVerifier(key, issuer, audience)
        except ValueError as error:
            raise SettingsError((Problem("routing.jwt_key", str(error)),)) from error
    return Identity(verifier, settings.override_key.reveal().encode())
