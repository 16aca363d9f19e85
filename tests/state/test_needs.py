"""Which routes need which lists, asked from both ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from gateway.state.needs import Needs, lists_of

letters = st.frozensets(st.sampled_from("abcde"))


@given(st.lists(st.tuples(st.sampled_from("xyz"), letters), max_size=20))
def test_both_ends_agree_after_any_changes(changes: list[tuple[str, frozenset[str]]]) -> None:
    needs = Needs()
    wanted: dict[str, frozenset[str]] = {}
    for route, lists in changes:
        before = set().union(*wanted.values())
        wanted[route] = lists
        after = set().union(*wanted.values())
        assert needs.set(route, lists) == before - after
        assert set(needs.lists) == after
        for name in "abcde":
            assert needs.routes_of(name) == {r for r, some in wanted.items() if name in some}
        assert all(needs.lists_of(r) == some for r, some in wanted.items())


def test_a_route_decides_by_its_blacklist_its_whitelists_and_the_segments_of_its_rules() -> None:
    versions = {name: VersionSpec(urls=("http://127.0.0.1:1",)) for name in ("v1", "v2")}
    rules = (
        RuleSpec(when={"segment": "beta"}, version="v2"),
        RuleSpec(when={"segment": ["beta", "staff"], "path": "/x"}, version="v2"),
        RuleSpec(when={"path": "/y"}, version="v1"),
    )
    spec = RouteSpec(name="chat", stable="v1", versions=versions, rules=rules)
    assert lists_of(spec) == {
        "route/chat/blacklist",
        "route/chat/whitelist/v1",
        "route/chat/whitelist/v2",
        "segment/beta",
        "segment/staff",
    }
    assert lists_of(None) == frozenset()
