"""What a decision reads in the body of a request, and the model's name put in its place."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.routing.facts import RequestFacts


class _Named(msgspec.Struct):
    model: Any = None
    user: Any = None


_names = msgspec.json.Decoder(_Named)
_values = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()


def read_body_facts(body: bytes, facts: RequestFacts) -> None:
    """Fill in what the body names; one that is not a JSON object names nothing."""
    try:
        found = _names.decode(body)
    except (ValueError, RecursionError):
        return
    facts.model = found.model if isinstance(found.model, str) else None
    facts.body_user = found.user.encode() if isinstance(found.user, str) else None


def with_model(body: bytes, model: str) -> bytes:
    """The same JSON object with another model; every other value keeps its very bytes.

    A body that is no JSON object, or that names no model, is left as it is.
    """
    try:
        values = _values.decode(body)
    except (ValueError, RecursionError):
        return body
    if "model" not in values:
        return body
    values["model"] = msgspec.Raw(_encoder.encode(model))
    return _encoder.encode(values)
