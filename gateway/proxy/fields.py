"""Which header fields pass from one side to the other, and which the gateway says itself.

What belongs to one hop stays there, and so does what `Connection` names. Fields that tell who the
user or the client is pass only from trusted peers, once, and in one spelling: servers behind us
that take `_` for `-` must not read what we have refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict, CIMultiDictProxy

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What goes upstream under these names is said by us; Expect is answered by us.
_SAID_UPSTREAM = frozenset(
    {
        "host",
        "expect",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
    }
)
_SAID_DOWNSTREAM = frozenset({"x-request-id"})
# A client that is not trusted cannot say where it comes from.
_ORIGIN = frozenset({"forwarded", "x-real-ip"})
# Nobody can have these removed by naming them in Connection.
_NOT_NOMINABLE = frozenset({"host", "content-length", "authorization", "cookie"})
_OURS = "x-graygate-"


def for_upstream(
    headers: CIMultiDictProxy[str], unit_sources: Iterable[str], *, trusted: bool
) -> CIMultiDict[str]:
    """The fields of a request that the model may see; the gateway's own must be added to them."""
    named = (source.partition(":") for source in unit_sources)
    identity = {name.lower() for kind, _, name in named if kind == "header"} - _NOT_NOMINABLE
    doubted = {name for name in identity if not trusted or len(headers.getall(name, ())) > 1}
    gone = _SAID_UPSTREAM | doubted | (frozenset() if trusted else _ORIGIN)
    return _kept(headers, gone, identity | _ORIGIN)


def for_downstream(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The fields of an answer that the client may see."""
    return _kept(headers, _SAID_DOWNSTREAM, frozenset())


def _kept(
    headers: CIMultiDictProxy[str], gone: frozenset[str], guarded: Iterable[str]
) -> CIMultiDict[str]:
    nominated = ",".join(headers.getall("Connection", ())).lower().split(",")
    asked = {name.strip(" \t") for name in nominated} - _NOT_NOMINABLE - set(guarded)
    dropped = _HOP_BY_HOP | gone | asked
    respelled = _HOP_BY_HOP | gone | set(guarded)
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if not _is_in(name.lower(), dropped, respelled)
    )


def _is_in(name: str, dropped: Iterable[str], respelled: Iterable[str]) -> bool:
    dashed = name.replace("_", "-")
    return name in dropped or dashed.startswith(_OURS) or (dashed != name and dashed in respelled)
