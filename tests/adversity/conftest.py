"""One gateway for all tests of this folder: each mends what it broke."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adversity.scene import Scene, set_up


@pytest.fixture(scope="package")
def whole_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with set_up(tmp_path_factory.mktemp("adversity")) as scene:
        yield scene


@pytest.fixture
def scene(whole_scene: Scene) -> Iterator[Scene]:
    yield whole_scene
    whole_scene.mend()
    whole_scene.wait_quiet()
