from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.admin.app import CALLS
from gateway.admin.openapi import document
from gateway.admin.spoken import SPOKEN
from tests.admin import table
from tests.admin.running import Running, Text

FOLDER = Path(__file__).parents[2] / "deploy" / "openapi"
TABLE = {(method, path): access for method, path, _, access in CALLS}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(TABLE)))
    return read


def operations(told: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    }


def test_the_committed_document_is_that_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("update", FOLDER / "update.py")
    assert spec is not None and spec.loader is not None
    update = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update)
    committed = (FOLDER / "openapi.json").read_bytes()
    assert committed == update.wanted(), "the API has changed: make openapi"


def test_the_document_is_valid_openapi(told: dict[str, Any]) -> None:
    assert told["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(told).iter_errors()] == []


def test_every_call_is_described_and_no_other(told: dict[str, Any]) -> None:
    assert set(operations(told)) == set(TABLE) == set(SPOKEN)
    names = [one["operationId"] for one in operations(told).values()]
    assert len(names) == len(set(names))
    for key, one in operations(told).items():
        assert one["summary"] and re.match(r"Takes (no token|the role \w+)\.$", one["description"])
        role = TABLE[key].role
        assert str(role) in one["description"] or role is None
        assert "500" in one["responses"] and "200" in one["responses"]


def test_writes_tell_of_revision_key_and_consent(told: dict[str, Any]) -> None:
    weights = operations(told)["PUT", "/api/v1/routes/{route}/weights"]
    names = [one["name"] for one in weights["parameters"]]
    assert names == ["route", "If-Match", "Idempotency-Key"]
    assert "202" in weights["responses"]
    assert "ETag" in weights["responses"]["200"]["headers"]
    looks = operations(told)["GET", "/api/v1/routes/{route}/history"]
    assert "202" not in looks["responses"]


def test_only_what_takes_no_token_says_so(told: dict[str, Any]) -> None:
    opened = {path for (_, path), one in operations(told).items() if one.get("security") == [{}]}
    assert opened == set(table.OPEN)
    assert set(told["components"]["securitySchemes"]) == {"token", "session"}


async def test_the_document_that_is_served_is_the_same(side: Running, told: dict[str, Any]) -> None:
    served = await side.get("/api/v1/openapi.json")
    assert served == told


async def test_what_calls_answer_is_of_the_types_that_the_document_names(side: Running) -> None:
    """Each call of the table once: nothing that is told is left out, and nothing is more."""
    side.workers.append(side.worker())
    for key, call in table.CALLS.items():
        answer = await side.ask(key[0], call.path, call.content)
        kinds = SPOKEN[key].answers
        if answer.status != 200 or call.kind != "application/json" or kinds is None:
            continue
        first = kinds[0] if isinstance(kinds, tuple) else kinds
        decoded = msgspec.json.decode(answer.body, type=first)
        again = msgspec.json.decode(msgspec.json.encode(decoded))
        assert missing(answer.json, again) == set(), call
        assert not isinstance(call.content, Text)


def missing(told: Any, again: Any, where: str = "") -> set[str]:
    """What the types do not name of what was told."""
    if isinstance(told, list):
        pairs = zip(told, again, strict=True)
        return set().union(*(missing(one, two, where) for one, two in pairs))
    if not isinstance(told, dict):
        return set()
    found = {f"{where}.{name}" for name in told.keys() - again.keys()}
    for name in told.keys() & again.keys():
        found |= missing(told[name], again[name], f"{where}.{name}")
    return found
