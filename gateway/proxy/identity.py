"""Who asks, by what path the request came, and what of that the model is told.

Fields that say where a request came from are believed only from trusted peers; what is not
believed is replaced by what we know ourselves. Via, X-Request-Id and traceparent are everybody's:
they are checked, kept when they are good, and continued.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from gateway.errors import DownstreamError
from gateway.http1.request import RequestHead, without

PSEUDONYM: Final = b"graygate"  # in Via
_VIA: Final = b"Via: 1.%d " + PSEUDONYM
_MOST_HOPS: Final = 50  # of X-Forwarded-For that are looked at
_MOST_CHAIN_BYTES: Final = 4096  # of X-Forwarded-For that are passed on
_MOST_ROUNDS: Final = 8  # gateways may stand in a chain, but not in a circle
_OURS: Final = b"x-graygate-"

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-"
    rb"([0-9a-f]{2})(-[!-~]*)?"
)
_FORWARDED_PROTO: Final = re.compile(rb"https?|wss?", re.IGNORECASE)

Special = Sequence[tuple[bytes, bytes, bytes]]


class Peer:
    """The other end of a downstream connection, worked out once per connection."""

    __slots__ = ("address", "forwarded_lines", "is_tls", "is_trusted")

    def __init__(self, address: str, is_trusted: bool, is_tls: bool) -> None:
        self.address = address
        self.is_trusted = is_trusted
        self.is_tls = is_tls
        proto = b"https" if is_tls else b"http"
        # What goes upstream for requests that say nothing of their origin: nearly all.
        self.forwarded_lines = tuple(
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (address.encode(), proto)
            + _VIA % minor
            for minor in (0, 1)
        )

    def __repr__(self) -> str:
        return f"<Peer {self.address}{' trusted' if self.is_trusted else ''}>"


class Origin:
    """What a request says of where it comes from, as far as it is believed."""

    __slots__ = (
        *("client_ip", "forwarded_host", "is_last_hop", "is_sampled", "lines", "parent_id"),
        *("request_id", "span_id", "trace_id"),
    )

    def __init__(self) -> None:
        self.client_ip = ""
        self.forwarded_host: bytes | None = None  # None = what Host says
        self.lines: list[bytes] = []  # to go upstream
        self.is_last_hop = False  # Max-Forwards allows no other (RFC 9110, 7.6.2)
        self.request_id = b""  # empty = it has none that we take
        self.trace_id = b""  # empty = it is of no trace; the others say something only with it
        self.parent_id = b""
        self.span_id = 0  # ours
        self.is_sampled = False


class Trust:
    """Which addresses are those of proxies that may speak for others."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def covers(self, address: str) -> bool:
        """`address` as `plain_address` writes it."""
        known = self._known.get(address)
        if known is None:
            parsed = ip_address(address) if address else None
            known = parsed is not None and any(parsed in one for one in self._networks)
            if len(self._known) >= 4096:
                self._known.clear()
            self._known[address] = known
        return known


def plain_address(text: str) -> str:
    """An address as text, IPv4 as IPv4; "" when it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def origin_of(
    special: Special, peer: Peer, minor: int, trust: Trust, draw_id: Callable[[int], int]
) -> Origin:
    """Judge the lines that tell of a request's way; `draw_id(bits)` gives a random number."""
    origin = Origin()
    chain: list[bytes] = []
    proto = b"https" if peer.is_tls else b"http"
    rounds = 0
    traces: list[bytes] = []
    states: list[bytes] = []
    for name, value, line in special:
        if name == b"x-request-id":
            if not origin.request_id and _REQUEST_ID.fullmatch(value):
                origin.request_id = value
        elif name == b"via":
            rounds += sum(hop.split()[1:2] == [PSEUDONYM] for hop in value.split(b","))
            origin.lines.append(line)
        elif name == b"traceparent":
            traces.append(value)
        elif name == b"tracestate":
            states.append(line)
        elif name == b"max-forwards":
            if value.isdigit() and len(value) < 10:
                origin.is_last_hop = int(value) == 0
                origin.lines.append(b"Max-Forwards: %d" % max(int(value) - 1, 0))
        elif not peer.is_trusted or name.startswith(_OURS):
            continue
        elif name == b"x-forwarded-for":
            chain.append(value)
        elif name == b"x-forwarded-proto":
            proto = value if _FORWARDED_PROTO.fullmatch(value) else proto
        elif name == b"x-forwarded-host":
            origin.forwarded_host = value
        elif name in (b"forwarded", b"x-real-ip"):
            origin.lines.append(line)
    if rounds >= _MOST_ROUNDS:
        text = "The request goes round in a circle: a version's URL leads back to a gateway."
        raise DownstreamError(508, "loop_detected", text)
    _continue_trace(origin, traces, states, draw_id)
    origin.client_ip = _client_ip(chain, peer.address, trust) if chain else peer.address
    known = b", ".join([*chain, peer.address.encode()])
    if len(known) > _MOST_CHAIN_BYTES:  # the nearest hops are those that somebody may vouch for
        known = known[-_MOST_CHAIN_BYTES:].partition(b",")[2].lstrip(b" ")
    origin.lines += (
        b"X-Forwarded-For: " + known,
        b"X-Forwarded-Proto: " + proto,
        _VIA % minor,
    )
    return origin


def _continue_trace(
    origin: Origin, traces: list[bytes], states: list[bytes], draw_id: Callable[[int], int]
) -> None:
    """A valid traceparent goes on under an id of ours; nothing else does (W3C Trace Context)."""
    found = _TRACEPARENT.fullmatch(traces[0]) if len(traces) == 1 else None
    if found is None or (found[1] == b"00" and found[5] is not None):
        return
    origin.span_id = span = draw_id(64) or 1
    origin.trace_id = found[2]
    origin.parent_id = found[3]
    origin.is_sampled = bool(int(found[4], 16) & 1)
    # A version that we do not know is continued as the one that we do (section 3.2.2).
    origin.lines.append(b"traceparent: 00-%b-%016x-%b" % (found[2], span, found[4]))
    origin.lines += states


def _client_ip(chain: list[bytes], peer: str, trust: Trust) -> str:
    """The nearest hop that is not one of the trusted proxies."""
    nearest = peer
    for hop in reversed(b",".join(chain).split(b",")[-_MOST_HOPS:]):
        address = plain_address(hop.strip(b" \t").decode("latin-1"))
        if not address or not trust.covers(nearest):
            break
        nearest = address
    return nearest


def identity_checked(head: RequestHead, names: frozenset[bytes], is_trusted: bool) -> list[bytes]:
    """The lines that go upstream: who the user is, only from those who may say it, and once."""
    if is_trusted:
        doubted = names & head.twice if head.twice else head.twice
    else:
        doubted = frozenset(name for name in names if name in head.single or name in head.twice)
    return without(head.kept, doubted) if doubted else head.kept
