from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.admin.running import Running, Worker


async def test_an_error_is_a_problem_with_a_code(side: Running) -> None:
    answer = await side.ask("GET", "/api/v1/routes/ghost")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "There is no route 'ghost' in force; there are: chat.",
    }


async def test_what_nobody_foresaw_is_logged_and_not_shown(
    side: Running, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(list[Worker]):
        def __iter__(self) -> Iterator[Worker]:
            raise RuntimeError("hunter2")

    side.workers = Broken()
    answer = await side.ask("GET", "/api/v1/state")
    assert answer.status == 500
    assert answer.json["code"] == "internal_error"
    assert b"hunter2" not in answer.body
    assert b"Traceback" not in answer.body
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "An admin request failed: GET /api/v1/state"
    assert record.exc_info is not None
