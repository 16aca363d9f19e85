from __future__ import annotations

from gateway.process.channel import Answers, FrameReader, Pairs, ToControl, decode_for_control
from gateway.process.outlet import Outlet
from tests.process.test_comparing import pair


class Line:
    """A link that has room or not."""

    def __init__(self) -> None:
        self.has_room = True
        self.said: list[ToControl] = []

    def offer(self, frame: bytes) -> bool:
        if self.has_room:
            self.said += [decode_for_control(body) for body in FrameReader().feed(frame)]
        return self.has_room


def test_pairs_and_answers_reach_control_as_they_are() -> None:
    line = Line()
    outlet = Outlet(line)
    one = pair(b"\xff\x00", b"b")
    outlet.tell_pair(one)
    outlet.tell_answers((("chat", "v1", b"12345678", b"unit"),))
    told = Answers(entries=(("chat", "v1", b"12345678"),), units=(b"unit",))
    assert line.said == [Pairs(pairs=(one,)), told]
    assert outlet.dropped() == {}


def test_what_control_has_no_room_for_is_dropped_and_counted() -> None:
    line = Line()
    line.has_room = False
    outlet = Outlet(line)
    outlet.tell_pair(pair(b"a", b"b"))
    more = ("chat", "v1", b"12345678" * 3, b"unit" * 3)
    outlet.tell_answers((more, ("chat", "v2", b"12345678", b"unit")))
    assert outlet.dropped(unnoted=2) == {"pairs": 1, "answers": 6}
    assert repr(outlet) == "<Outlet, dropped 1 pairs>"


def test_pairs_have_so_many_bytes_in_a_second() -> None:
    now = [100.0]
    line = Line()
    outlet = Outlet(line, bytes_per_second=2000, clock=lambda: now[0])
    big = pair(b"a" * 300, b"b" * 200)  # 1000 with what stands beside
    for _ in range(3):
        outlet.tell_pair(big)
    assert (len(line.said), outlet.dropped()) == (2, {"pairs": 1})
    now[0] += 0.5
    outlet.tell_pair(big)
    outlet.tell_pair(big)
    now[0] += 60
    for _ in range(3):
        outlet.tell_pair(big)
    assert (len(line.said), outlet.dropped()) == (5, {"pairs": 3})
