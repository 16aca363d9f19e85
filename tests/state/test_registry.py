from __future__ import annotations

import msgspec
import pytest

from gateway.errors import InUseError, NotFoundError, RefusedError
from gateway.state.raw import RouteState
from gateway.state.registry import (
    Entry,
    added,
    entry_of,
    known,
    removed,
    restored,
    retired,
    users,
    wrong_with_notes,
)
from gateway.state.versions import is_retired, read_version

STATE = RouteState(
    route={"stable": " v1 ", "mirror": "v3"},
    versions={"v1": "http://a http://b", "v2": '{"urls": "http://c", "x": 1}', "v3": "http://d"},
    weights={"v2": "0.0", "v3": "2.5"},
    rules=(
        '{"when": {}, "version": "v2"}', '{"when": {}, "weights": {"v3": 1}}', "nonsense", "[]{",
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "entry",
    [
        Entry(urls=("http://a",)),
        Entry(urls=("http://a", "http://b"), rewrite_model="m"),
        Entry(urls=("http://a",), meta={"notes": "x", "deep": {"a": [1, None]}}, is_retired=True),
    ],
)
def test_an_entry_is_read_as_it_was_written_and_the_contract_reads_the_same(entry: Entry) -> None:
    assert entry_of(entry.text()) == entry
    spec = read_version(entry.text())
    assert (spec.urls, spec.rewrite_model, spec.meta, spec.is_retired) == (
        entry.urls, entry.rewrite_model, entry.meta, entry.is_retired,
    )  # fmt: skip


def test_a_version_without_notes_stands_as_its_urls() -> None:
    assert Entry(urls=("http://a", "http://b")).text() == "http://a http://b"


def test_what_is_retired_is_told_from_what_only_speaks_of_it() -> None:
    assert is_retired(' {"urls": [], "state": "retired"}')
    assert not is_retired('{"urls": [], "notes": "retired"}')
    assert not is_retired('{"state": "retired"')
    assert not is_retired("http://retired")


def test_everything_that_uses_a_version_is_found() -> None:
    assert users(STATE, "v1") == ["it is stable"]
    assert users(STATE, "v2") == ["rule 0 sends requests there"]
    assert users(STATE, "v3") == [
        *("it has a weight of 2.5 %", "rule 1 sends requests there"),
        "it gets copies of requests (mirror)",
    ]


def test_a_version_comes_goes_and_comes_back() -> None:
    state = added(STATE, "v4", Entry(urls=("http://e",)))
    assert state.versions["v4"] == "http://e"
    gone = retired(state, "v2")
    assert ("v2" in gone.weights, is_retired(gone.versions["v2"])) == (False, True)
    assert entry_of(restored(gone, "v2").versions["v2"]).meta == {"x": 1}
    assert "v2" not in removed(gone, "v2").versions
    assert STATE.weights == {"v2": "0.0", "v3": "2.5"}


def test_what_is_there_already_or_not_there_is_told() -> None:
    with pytest.raises(InUseError, match="version set"):
        added(STATE, "v1", Entry())
    with pytest.raises(InUseError, match="version restore"):
        added(retired(STATE, "v2"), "v2", Entry())
    with pytest.raises(RefusedError, match="is no version name"):
        added(STATE, "v:1", Entry())
    with pytest.raises(NotFoundError, match="Known are: v1, v2, v3"):
        known(STATE, "none-of-them")
    with pytest.raises(NotFoundError, match="There is none yet"):
        known(RouteState(), "v1")
    with pytest.raises(RefusedError, match="broken JSON"):
        known(msgspec.structs.replace(STATE, versions={"v1": "{"}), "v1")


def test_notes_with_a_meaning_are_judged_and_others_are_free() -> None:
    assert wrong_with_notes({"scores": {"a": 1, "b": 0.5}, "digest": "x", "own": object()}) == {}
    wrong = {"scores": {"a": True}, "digest": 3, "notes": "x" * 4001, "urls": "http://a"}
    assert set(wrong_with_notes(wrong)) == {"scores", "digest", "notes", "urls"}
    assert "scores" in wrong_with_notes({"scores": [1]})
