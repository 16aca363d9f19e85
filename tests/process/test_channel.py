"""The words between control and workers, and their bytes."""

from __future__ import annotations

import pytest

from gateway.errors import ChannelError
from gateway.metrics.strata import CellCounts, EventCounts, SketchDelta
from gateway.process.channel import (
    FrameReader,
    Hello,
    Holds,
    ListChange,
    Strata,
    ToControl,
    Totals,
    Update,
    VersionTotals,
    decode_for_control,
    decode_for_worker,
    encode,
)
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec

SPEC = RouteSpec(
    name="chat",
    stable="v1",
    versions={
        "v1": VersionSpec(urls=("http://a",)),
        "v2": VersionSpec(urls=("http+unix://%2Fb",), rewrite_model="m-2"),
    },
    weights={"v2": 12.5},
    rules=(RuleSpec(when={"header": {"x-plan": ["gold"]}}, version="v2"),),
    salt="chat",
    timeouts={"connect": 1.0, "queue": 0.5},
    balance="rendezvous",
    retries=0,
    max_requests=7,
    health_path="/ok",
    body_limit=2**40,
    mirror="v2",
    mirror_percent=12.5,
    mirror_credentials=True,
)
UPDATE = Update(
    sequence=7,
    is_full=True,
    routes=(SPEC,),
    removed_routes=("old",),
    lists=(
        ListChange(name="route/chat/blacklist", generation=1, ids=(b"a", b"\xff\x00")),
        ListChange(name="segment/beta", generation=2, path="/tmp/x", added=(b"n",)),
    ),
    removed_lists=("segment/gone",),
)
TO_CONTROL: list[ToControl] = [
    Hello(worker=1, pid=42, born=5),
    Holds(sequence=7),
    Totals(
        decisions=(("chat", "v2", "weight", 3),),
        versions=(
            VersionTotals(
                route="chat",
                version="v2",
                codes={200: 3, 599: 1},
                errors={"timeout": 2},
                in_flight=4,
                retries=5,
                mirrored=2**40,
                mirror_failures={"busy": 1},
                is_panicking=True,
                duration=(0, 3),
                duration_sum=1.5,
                first_byte=(3,),
                first_byte_sum=0.25,
                inter_chunk=(1, 2, 3),
                inter_chunk_sum=0.1,
            ),
            VersionTotals(route="chat", version="v1"),
        ),
        endpoints=(("chat", "v2", "http://b", False),),
        connections=7,
        shed={"lag": 9},
    ),
    Totals(),
    Strata(
        sent=1_700_000_001,
        cells=(CellCounts(1_700_000_000, "chat", "v2", 3, 2, 1, bad_units=[2**64 - 1]),),
        events=(EventCounts(1_700_000_000, "chat", "v2", "shadow", 2, 1),),
        sketches=(SketchDelta(28_333_333, "chat", "v2", {2047: 53}),),
    ),
]


def test_an_update_arrives_as_it_was_sent() -> None:
    [body] = FrameReader().feed(encode(UPDATE))
    assert decode_for_worker(body) == UPDATE


@pytest.mark.parametrize("message", TO_CONTROL, ids=lambda message: type(message).__name__)
def test_what_a_worker_says_arrives_as_it_was_said(message: ToControl) -> None:
    [body] = FrameReader().feed(encode(message))
    assert decode_for_control(body) == message


def test_frames_split_byte_by_byte_are_the_same_frames() -> None:
    stream = b"".join(encode(message) for message in TO_CONTROL)
    frames = FrameReader()
    bodies = [body for at in range(len(stream)) for body in frames.feed(stream[at : at + 1])]
    assert [decode_for_control(body) for body in bodies] == TO_CONTROL
    assert not frames.is_mid_frame


def test_frames_in_one_piece_come_out_together_and_the_rest_waits() -> None:
    stream = b"".join(encode(message) for message in TO_CONTROL)
    frames = FrameReader()
    assert len(frames.feed(stream[:-1])) == len(TO_CONTROL) - 1
    assert frames.is_mid_frame
    assert len(frames.feed(stream[-1:])) == 1


def test_an_empty_frame_is_a_frame() -> None:
    assert FrameReader().feed(b"\0\0\0\0") == [b""]


def test_a_peer_that_dies_in_mid_frame_leaves_a_reader_that_knows() -> None:
    frames = FrameReader()
    frames.feed(encode(UPDATE)[:-3])
    assert frames.is_mid_frame
    assert "unfinished" in repr(frames)


def test_a_frame_that_claims_to_be_too_long_is_refused_before_it_arrives() -> None:
    frames = FrameReader(limit=10)
    assert frames.feed((10).to_bytes(4, "big")) == []
    with pytest.raises(ChannelError, match="11 bytes"):
        FrameReader(limit=10).feed((11).to_bytes(4, "big"))


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", encode(Holds(sequence=1))[4:-1]])
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    with pytest.raises(ChannelError):
        decode_for_control(body)
    with pytest.raises(ChannelError):
        decode_for_worker(body)


def test_a_field_of_a_later_release_is_skipped() -> None:
    # {"type": "holds", "sequence": 3, "later": true}
    body = b"\x83\xa4type\xa5holds\xa8sequence\x03\xa5later\xc3"
    assert decode_for_control(body) == Holds(sequence=3)
