"""Between operators or Prometheus and the admin port: their trouble is not that of requests."""

from __future__ import annotations

import contextlib
import urllib.request
from http.client import HTTPException

import pytest

from tests.adversity.faults import ALL
from tests.adversity.scene import Scene
from tests.adversity.wire import Fault
from tests.serving import Users


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_a_scrape_that_fails_costs_no_request_and_the_next_one_works(
    scene: Scene, fault: Fault
) -> None:
    url = f"{scene.to_admin.url}/metrics"
    with Users(scene.running.data_url + "/x") as users:
        scene.to_admin.inflict(back=fault)
        with contextlib.suppress(OSError, HTTPException):
            urllib.request.urlopen(url, timeout=1).read()
        scene.to_admin.mend()
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert b"graygate_build_info" in answer.read()
    assert users.failures == []
