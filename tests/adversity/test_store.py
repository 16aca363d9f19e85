"""Between control and the store: no request notices, and changes come through once it is mended."""

from __future__ import annotations

import pytest

from tests.adversity.faults import ALL
from tests.adversity.scene import Scene
from tests.adversity.wire import Fault
from tests.servers import wait_until
from tests.serving import Users


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_requests_go_on_and_changes_come_through_at_last(scene: Scene, fault: Fault) -> None:
    user = f"carol-{fault.name}"
    with Users(scene.running.data_url + "/x") as users:
        scene.to_store.inflict(back=fault)
        scene.store.cli(f"SADD gray:route:chat:whitelist:v2 {user}")
        before = users.answered
        wait_until(lambda: users.answered >= before + 50, "requests go on")
        scene.to_store.mend()
        wait_until(lambda: scene.ask("/x", user).version == "v2", "the change came through")
    assert users.failures == []


def test_a_store_that_flaps_costs_no_request_and_no_connection(scene: Scene) -> None:
    with Users(scene.running.data_url + "/x") as users:
        for _ in range(8):
            scene.to_store.refuse()
            scene.to_store.listen()
            before = users.answered
            wait_until(lambda seen=before: users.answered >= seen + 10, "requests go on")  # type: ignore[misc]
        scene.store.cli("SADD gray:route:chat:whitelist:v2 dave")
        wait_until(lambda: scene.ask("/x", "dave").version == "v2", "the change came through")
    assert users.failures == []
    wait_until(lambda: _links(scene) <= 3, "what broke is not left open")


def _links(scene: Scene) -> int:
    """Connections that the store holds, but for the one that asks."""
    return int(scene.store.cli("INFO clients")["connected_clients"]) - 1
