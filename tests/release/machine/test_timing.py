from __future__ import annotations

import pytest

from tests.release.machine.story import Story, weights, words


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 11.0])
def test_a_clock_that_jumps_skips_no_hold(jump: float) -> None:
    story = Story()
    story.tick()
    story.run(60)
    done = story.tick(after=jump)
    assert weights(done) == []
    assert weights(story.run(59)) == []
    assert weights(story.tick()) == [5]


def test_slow_ticks_count_in_full() -> None:
    story = Story()
    story.tick()
    assert weights(story.run(11, after=10.0)) == []
    assert weights(story.tick(after=10.0)) == [5]


@pytest.mark.parametrize(
    ("jump", "told"),
    [(3600.0, "Nobody looked for 1 h"), (-60.0, "The clock went back by 1 min"), (-0.2, "")],
)
def test_a_jump_is_told(jump: float, told: str) -> None:
    story = Story()
    story.tick()
    assert words(story.tick(after=jump)).startswith(told)
    assert bool(words(story.actions)) == bool(told)


def test_a_release_that_is_over_keeps_quiet() -> None:
    story = Story()
    story.say("abort")
    assert story.tick(after=86_400) == []
