"""The faults by name; README's table of what is survived lists the same."""

from __future__ import annotations

from tests.adversity.wire import Fault

DELAY = Fault("delay", delay_seconds=0.2)
DRIP = Fault("drip", delay_seconds=0.0005, piece_bytes=256)
CUT = Fault("cut", after_bytes=1000, ending="cut")
RESET = Fault("reset", after_bytes=1000, ending="reset")
HALF_CLOSE = Fault("half-close", after_bytes=1000, ending="half_close")
BLACKHOLE = Fault("blackhole", after_bytes=0, ending="blackhole")
STALL = Fault("stall", after_bytes=1000, ending="blackhole")
CORRUPT = Fault("corrupt", after_bytes=0, corrupts=True)

ALL = (DELAY, DRIP, CUT, RESET, HALF_CLOSE, BLACKHOLE, STALL, CORRUPT)
