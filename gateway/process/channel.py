"""What control and the workers say to each other, and how it looks as bytes.

A frame is a length of four bytes, big-endian, and that many bytes of msgpack. Every message is a
struct with a tag; a field that the other side does not know is skipped, so that a new control can
feed workers of the release before it for as long as a replacement takes.

    worker  -> control   Hello, once; Holds after each Update it routes by; Totals every second;
                         Strata in each second in which something happened that it tells of;
                         Pairs and Answers, as long as there is room for them; Ends, when all that
                         it counted is said
    control -> worker    Heard, after a Hello that knows it; Update: all of it first, then only what
                         changed; Kept, after Ends
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import ChannelError
from gateway.metrics.standing import Vitals
from gateway.metrics.strata import CellCounts, EventCounts, SketchDelta
from gateway.proxy.pair import Pair
from gateway.routing.spec import RouteSpec

PROTOCOL: Final = 1
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
_LENGTH_BYTES: Final = 4


class ListChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One list as it is now; with neither `ids` nor `path`, the base the worker holds stays."""

    name: str
    generation: int
    ids: tuple[bytes, ...] | None = None  # a small base, in full
    path: str | None = None  # a large base: the file to map
    added: tuple[bytes, ...] = ()
    removed: tuple[bytes, ...] = ()


class Update(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="update"):
    """How to get from the picture the worker holds to the one numbered `sequence`."""

    sequence: int
    is_full: bool = False  # forget everything held before
    routes: tuple[RouteSpec, ...] = ()
    removed_routes: tuple[str, ...] = ()
    lists: tuple[ListChange, ...] = ()
    removed_lists: tuple[str, ...] = ()


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """The first words of a worker."""

    worker: int
    pid: int
    born: int  # by the machine's monotonic clock; tells a worker from the one it replaced
    protocol: int = PROTOCOL
    knows_heard: bool = False  # older workers could not read it, and would ask anew for ever


class Holds(msgspec.Struct, frozen=True, kw_only=True, tag="holds"):
    """The worker routes by this picture now; the files of earlier ones are not needed any more."""

    sequence: int


class VersionTotals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a worker has counted of one version; `in_flight` and `is_panicking` are of now."""

    route: str
    version: str
    codes: dict[int, int] = {}
    errors: dict[str, int] = {}
    in_flight: int = 0
    retries: int = 0
    mirrored: int = 0
    mirror_failures: dict[str, int] = {}
    is_panicking: bool = False
    # By bucket, as in gateway.metrics.numbers; empty = nothing was counted yet.
    duration: tuple[int, ...] = ()
    duration_sum: float = 0.0
    first_byte: tuple[int, ...] = ()
    first_byte_sum: float = 0.0
    inter_chunk: tuple[int, ...] = ()
    inter_chunk_sum: float = 0.0


class Totals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="totals"):
    """Everything a worker has counted since it started, and what is now."""

    decisions: tuple[tuple[str, str, str, int], ...] = ()  # route, version, reason, count
    versions: tuple[VersionTotals, ...] = ()  # those that anything happened to
    endpoints: tuple[tuple[str, str, str, bool], ...] = ()  # route, version, URL, is up
    connections: int = 0
    shed: dict[str, int] = {}
    dropped: dict[str, int] = {}
    vitals: Vitals = Vitals()


class Ends(msgspec.Struct, frozen=True, kw_only=True, tag="ends"):
    """The worker has said everything, and goes when it has heard that control has it."""


class Heard(msgspec.Struct, frozen=True, kw_only=True, tag="heard"):
    """Control is at work: what table it has, if any, comes now."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="kept"):
    """Control has everything that the worker said, which may go now."""


class Strata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="strata"):
    """What happened since the worker said so last; unlike totals it must not be heard twice."""

    sent: int  # the second in which it was sent, by the wall clock
    cells: tuple[CellCounts, ...] = ()
    events: tuple[EventCounts, ...] = ()
    sketches: tuple[SketchDelta, ...] = ()


class Pairs(msgspec.Struct, frozen=True, kw_only=True, tag="pairs"):
    """Answers of two versions to one request each, to be compared; may be lost."""

    pairs: tuple[Pair, ...]


class Answers(msgspec.Struct, frozen=True, kw_only=True, tag="answers"):
    """Which version answered which request, of those that may be rated; may be lost."""

    # Route, version as `Answered` writes it, and ids of eight bytes, one after the other.
    entries: tuple[tuple[str, str, bytes], ...]
    units: tuple[bytes, ...] = ()  # for each entry, a `comer` of eight bytes for each id


ToWorker = Heard | Update | Kept
ToControl = Hello | Holds | Totals | Strata | Pairs | Answers | Ends

_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_to_control: msgspec.msgpack.Decoder[ToControl] = msgspec.msgpack.Decoder(ToControl)


def encode(message: ToWorker | ToControl) -> bytes:
    """The frame of a message; refuses one that the other side would not take."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ChannelError(f"A message of {len(body)} bytes is too long for the channel.")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def decode_for_worker(body: bytes) -> ToWorker:
    try:
        return _to_worker.decode(body)
    except msgspec.DecodeError as error:
        raise ChannelError(f"Control sent a message that is none: {error}.") from error


def decode_for_control(body: bytes) -> ToControl:
    try:
        return _to_control.decode(body)
    except msgspec.DecodeError as error:
        raise ChannelError(f"A worker sent a message that is none: {error}.") from error


class FrameReader:
    """Cuts what arrives, in pieces of any size, into the bodies of frames."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def __repr__(self) -> str:
        return f"<FrameReader, {len(self._buffer)} bytes of an unfinished frame>"

    @property
    def is_mid_frame(self) -> bool:
        """Whether a peer that is gone now was cut off in the middle of a message."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now; ChannelError when one claims to be too long."""
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(buffer) - start >= _LENGTH_BYTES:
            length = int.from_bytes(buffer[start : start + _LENGTH_BYTES], "big")
            if length > self._limit:
                raise ChannelError(f"The other side announces a message of {length} bytes.")
            end = start + _LENGTH_BYTES + length
            if end > len(buffer):
                break
            bodies.append(bytes(buffer[start + _LENGTH_BYTES : end]))
            start = end
        del buffer[:start]
        return bodies
