"""Several things go wrong at once, as they do."""

from __future__ import annotations

import contextlib
import threading

from tests.adversity.faults import BLACKHOLE, CUT, RESET
from tests.adversity.scene import Scene, content
from tests.servers import wait_until


def test_store_candidate_clients_and_operators_fail_together_and_stable_users_notice_nothing(
    scene: Scene,
) -> None:
    scene.to_store.inflict(there=BLACKHOLE, back=BLACKHOLE)
    scene.to_models["v2"].inflict(back=RESET)
    scene.to_gateway.inflict(back=CUT)
    scene.to_admin.inflict(back=BLACKHOLE)
    troubled = [threading.Thread(target=_in_trouble, args=(scene, n)) for n in range(8)]
    for thread in troubled:
        thread.start()
    for number in range(50):
        user = f"user-{number}"
        assert scene.ask(f"/x{number}", user).body == content("v1", f"/x{number}")
        assert scene.ask("/stream", user).body == content("v1", "/stream")
    for thread in troubled:
        thread.join()
    scene.mend()
    scene.store.cli("SADD gray:route:chat:whitelist:v2 erin")
    wait_until(lambda: scene.ask("/x", "erin").body == content("v2", "/x"), "all is well again")


def _in_trouble(scene: Scene, number: int) -> None:
    for _ in range(5):
        with contextlib.suppress(AssertionError):
            scene.ask("/x", "bob" if number % 2 else "alice", through_wire=number % 3 == 0)
