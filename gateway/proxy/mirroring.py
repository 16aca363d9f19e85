"""What a route says of copies: which version gets them, of whose requests, and without what."""

from __future__ import annotations

import re

from gateway.http1.request import RequestHead
from gateway.http1.start import RequestLine
from gateway.routing.bucket import bucket, threshold
from gateway.routing.spec import RouteSpec

_SALT = b":mirror"  # after the route's own: who is mirrored has nothing to do with who is moved

# Fields whose value lets somebody in; in lower case, with "-" for "_".
_SECRET_NAME = re.compile(
    rb"authori[sz]ation|authentication|(?:^|-)auth(?:-|$)|cookie|credential|passw|secret|signature"
    rb"|assertion|jwt|token(?:-|$)|key(?:-|$)|oidc-data"
)
_HARMLESS_NAMES = frozenset({b"idempotency-key", b"x-idempotency-key"})
_SECRET_PARAMETERS = frozenset({b"access_token", b"api-key", b"api_key", b"apikey", b"key"})


class Mirroring:
    """One route's wish, worked out when the table changes."""

    __slots__ = (
        *("_keeps_credentials", "_places", "_salt", "itself", "model", "ours", "self_share"),
        "version",
    )

    def __init__(self, spec: RouteSpec, salt: bytes, version: str) -> None:
        self.version = version
        # A model differs from itself, too: by how much, a share of stable's copies tells that go
        # to stable once more. None = nobody compares anything.
        self.itself: Mirroring | None = None
        if spec.compare and version != spec.stable:
            self.itself = Mirroring(spec, salt, spec.stable)
        self.self_share = spec.mirror_self / 100
        self.model = spec.versions[version].rewrite_model
        self.ours = (b"X-Graygate-Version: " + version.encode(), b"X-Graygate-Mirror: 1")
        self._salt = salt + _SALT
        self._places = threshold(spec.mirror_percent)
        self._keeps_credentials = spec.mirror_credentials

    def __repr__(self) -> str:
        return f"<Mirroring to {self.version}>"

    def place_of(self, unit: bytes) -> int:
        return bucket(self._salt, unit)

    def covers(self, place: int) -> bool:
        """Whether requests of who stands at this place are copied."""
        return place < self._places

    def lines(self, kept: list[bytes]) -> list[bytes]:
        """What of a request's lines its copy has."""
        if self._keeps_credentials:
            return kept
        return [line for line in kept if not _is_secret(line[: line.index(b":")])]

    def line(self, head: RequestHead) -> RequestLine:
        """The copy's request line."""
        if self._keeps_credentials or not head.query:
            return head.line
        parameters = head.query.split(b"&")
        harmless = [one for one in parameters if not _names_secret(one)]
        if len(harmless) == len(parameters):
            return head.line
        path, _, _ = head.target.partition(b"?")
        target = path + b"?" + b"&".join(harmless) if harmless else path
        return RequestLine(head.method, target, head.minor)


def mirroring_of(spec: RouteSpec, salt: bytes) -> Mirroring | None:
    """None when the route wants no copies."""
    return Mirroring(spec, salt, spec.mirror) if spec.mirror and spec.mirror_percent else None


def _is_secret(name: bytes) -> bool:
    name = name.lower().replace(b"_", b"-")
    return _SECRET_NAME.search(name) is not None and name not in _HARMLESS_NAMES


def _names_secret(parameter: bytes) -> bool:
    return parameter.partition(b"=")[0].lower() in _SECRET_PARAMETERS
