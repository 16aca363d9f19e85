from __future__ import annotations

import pytest

from loadtests.histories import measure
from tests.servers import Server


async def test_everything_that_people_do_with_a_history_is_timed(
    store: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await measure(store.url, 5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5 revisions written, ")
    assert [line.partition("  ")[0] for line in lines[1:]] == [
        *("a write", "newest 50 revisions", "newest 1000 revisions"),
        *("difference of first and last", "back to revision 1", "back by two revisions"),
        "checking the chain",
    ]
