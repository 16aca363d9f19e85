"""How the answers of a route are to be compared: what operators write, checked."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.routing.suggest import suggest

Kind = Literal["auto", "exact", "json", "label", "text", "vector"]
Share = Annotated[float, Meta(ge=0, le=1)]
Tolerance = Annotated[float, Meta(ge=0, le=1e6)]
Path = Annotated[str, Meta(min_length=1, max_length=200)]

# What every OpenAI-like answer has, and what differs in each of them.
ALWAYS_NEW = ("id", "created", "system_fingerprint", "usage", "service_tier", "request_id")


class CompareSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`auto` takes vectors, texts and JSON for what they are, and everything else byte by byte.

    A path names fields and places, divided by dots; `*` stands for any: `choices.*.index`.
    """

    kind: Kind = "auto"
    ignore: tuple[Path, ...] = ALWAYS_NEW  # of JSON: these may differ
    rtol: Tolerance = 1e-5  # of numbers: |a - b| <= atol + rtol * max(|a|, |b|)
    atol: Tolerance = 1e-6
    path: str = ""  # to the label, the scores, the text or the vector; "" = the usual places
    gap: Share = 0.05  # of labels: the best score may differ by so much
    cosine: Share = 0.99  # of vectors: less is different
    shortest: Share = 0.5  # of texts: a length below this share of the other's is different
    refusals: tuple[str, ...] = ()  # of texts: beginnings of refusals, beside the known ones
    plugin: str = ""  # of texts: "module:function" that gives a distance from 0 to 1
    distance: Share = 0.15  # of texts: more than that, as the plug-in says, is different


def read_spec(text: str | bytes) -> CompareSpec:
    """Raises ValueError with a sentence for the operator."""
    try:
        return msgspec.json.decode(text, type=CompareSpec)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(_sentence(str(error))) from error


def _sentence(said: str) -> str:
    unknown = said.partition("unknown field `")[2].partition("`")[0]
    if unknown:
        names = CompareSpec.__struct_fields__
        return f"{unknown!r} is no field of a comparison.{suggest(unknown, names)}"
    return said[:1].lower() + said[1:]
