"""Between the gateway and its models: no answer that is cut or bent passes for a whole one."""

from __future__ import annotations

import json

import pytest

from tests.adversity.faults import ALL, BLACKHOLE, CORRUPT, DELAY, DRIP, STALL
from tests.adversity.scene import End, Scene, content
from tests.adversity.wire import Fault
from tests.servers import wait_until

SLOW_BUT_WHOLE = (DELAY, DRIP)


def is_own_error(end: End) -> bool:
    return end.status in (502, 503, 504) and "code" in json.loads(end.body)


def check(end: End, fault: Fault, expected: bytes) -> None:
    """An answer is exact, or an error of ours, or visibly cut: nothing else."""
    if fault in SLOW_BUT_WHOLE:
        assert (end.status, end.body) == (200, expected)
    elif end.is_exact:
        assert end.body == expected
    elif end.status == 200:
        assert expected.startswith(end.body)
        assert len(end.body) < len(expected)
    else:
        assert is_own_error(end), end


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
@pytest.mark.parametrize("path", ["/x", "/stream"])
def test_an_answer_is_exact_or_seen_to_be_none(scene: Scene, fault: Fault, path: str) -> None:
    scene.to_models["v2"].inflict(back=fault)
    check(scene.ask(path, "bob"), fault, content("v2", path))
    assert scene.ask(path, "alice").body == content("v1", path), "the other version is unharmed"
    scene.to_models["v2"].mend()
    wait_until(lambda: scene.ask(path, "bob").body == content("v2", path), "it is as before")


@pytest.mark.parametrize("fault", [BLACKHOLE, STALL, CORRUPT], ids=lambda fault: fault.name)
def test_a_request_that_does_not_reach_the_model_has_an_end(scene: Scene, fault: Fault) -> None:
    there = Fault(fault.name, after_bytes=10, ending=fault.ending, corrupts=fault.corrupts)
    scene.to_models["v2"].inflict(there=there)
    end = scene.ask("/x", "bob")
    # A bent request may be one that the model refuses: then the refusal passes.
    assert is_own_error(end) or end.status in (400, 404, 501) or end.is_exact
    scene.to_models["v2"].mend()
    wait_until(lambda: scene.ask("/x", "bob").body == content("v2", "/x"), "it is as before")


def test_a_version_that_refuses_connections_is_told_and_comes_back(scene: Scene) -> None:
    wire = scene.to_models["v2"]
    wire.refuse()
    try:
        ends = [scene.ask("/x", "bob") for _ in range(10)]
        assert all(is_own_error(end) or end.version == "v1" for end in ends)
        assert scene.ask("/x", "alice").is_exact
    finally:
        wire.listen()
    wait_until(lambda: scene.ask("/x", "bob").body == content("v2", "/x"), "it is back", 45)
