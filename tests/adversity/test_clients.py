"""Between clients and the gateway: what harms one of them harms no other, and leaves nothing."""

from __future__ import annotations

import pytest

from tests.adversity.faults import ALL, CORRUPT, DELAY, DRIP
from tests.adversity.scene import Scene, content
from tests.adversity.wire import Fault


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
@pytest.mark.parametrize("direction", ["there", "back"])
def test_one_client_in_trouble_troubles_nobody_else(
    scene: Scene, fault: Fault, direction: str
) -> None:
    if direction == "there":
        # Requests are short.
        fault = Fault(
            fault.name, fault.delay_seconds, min(fault.piece_bytes, 16),
            None if fault.after_bytes is None else min(fault.after_bytes, 20),
            fault.ending, fault.corrupts,
        )  # fmt: skip
        scene.to_gateway.inflict(there=fault)
    else:
        scene.to_gateway.inflict(back=fault)
    try:
        end = scene.ask("/x", through_wire=True)
    except AssertionError:
        end = None  # it waits for what the wire swallowed
    if fault.name in (DELAY.name, DRIP.name):
        assert end is not None
        assert end.body == content("v1", "/x")
    elif end is not None and fault.name == CORRUPT.name and direction == "there":
        assert end.status != 200
    assert scene.ask("/x").body == content("v1", "/x")
    scene.to_gateway.mend()
    scene.wait_quiet()
    assert scene.ask("/x", through_wire=True).body == content("v1", "/x")
