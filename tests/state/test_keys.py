"""Key names: the same contract in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.keys import NAME, ROUTE_PARTS, Keys, Part, Place, is_name

KEYS = Keys()
names = st.from_regex(NAME, fullmatch=True)


@given(names, names, st.sampled_from(["gray:", "{gray}:", "a:b:", ""]))
def test_every_key_is_found_again_in_its_place(one: str, other: str, prefix: str) -> None:
    keys = Keys(prefix)
    assert keys.place(keys.routes) == Place(Part.ROUTES)
    assert keys.place(keys.instances) == Place(Part.INSTANCES)
    assert keys.place(keys.leader) == Place(Part.LEADER)
    assert keys.place(keys.tokens) == Place(Part.TOKENS)
    assert keys.place(keys.audit) == Place(Part.AUDIT)
    assert keys.place(keys.route(one)) == Place(Part.ROUTE, one)
    for part in ROUTE_PARTS:
        assert keys.place(keys.part(one, part)) == Place(part, one)
    assert keys.place(keys.whitelist(one, other)) == Place(Part.WHITELIST, one, other)
    assert keys.place(keys.blacklist(one)) == Place(Part.BLACKLIST, one)
    assert keys.place(keys.history(one)) == Place(Part.HISTORY, one)
    assert keys.place(keys.segment(one)) == Place(Part.SEGMENT, name=one)


@pytest.mark.parametrize(
    "key",
    ["", "gray:", "gray", "gray:x", "other:routes", "gray:routes:x", "gray:route", "gray:route:",
     "gray:route:a b", "gray:route:chat:whitelist", "gray:route:chat:whitelist:", "gray:segment",
     "gray:route:chat:whitelist:v 2", "gray:route:chat:wieghts", "gray:route:-chat:weights",
     "gray:route:chat:weights:v2", "gray:segment:a:b", "gray:route:chat:segment"],
)  # fmt: skip
def test_what_the_contract_does_not_know_has_no_place(key: str) -> None:
    assert KEYS.place(key) is None


@given(st.text())
def test_no_text_at_all_is_too_odd_to_be_asked_about(text: str) -> None:
    for key in (text, f"gray:{text}", f"gray:route:{text}", f"gray:route:chat:{text}"):
        KEYS.place(key)
        assert KEYS.like(key) != key


@pytest.mark.parametrize(
    ("key", "like"),
    [
        ("gray:route:chat:wieghts", "gray:route:chat:weights"),
        ("gray:route:chat:whitlist:v2", "gray:route:chat:whitelist:v2"),
        ("gray:route:chat:whitelist", "gray:route:chat:whitelist:VERSION"),
        ("gray:route:chat:whitelist:v2:x", "gray:route:chat:whitelist:VERSION"),
        ("gray:route:chat:rule", "gray:route:chat:rules"),
        ("gray:rout:chat", "gray:route:chat"),
        ("gray:token", "gray:tokens"),
        ("gray:segments:beta", "gray:segment:beta"),
        ("gray:route:chat:zzz", None),
        ("gray:route:chat:weights:v2", None),
        ("gray:zzz", None),
        ("gray:routes:x", None),
        ("other:rout", None),
    ],
)
def test_a_mistyped_key_is_told_what_may_have_been_meant(key: str, like: str | None) -> None:
    assert KEYS.like(key) == like


@pytest.mark.parametrize("name", ["a", "A9", "v1.2_x-y", "9", "x" * 64])
def test_names_that_are_fit_for_keys_labels_and_urls(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a b", "a:b", "a/b", "é", "x" * 65, "a\n"])
def test_names_that_are_not(name: str) -> None:
    assert not is_name(name)


def test_the_keys_of_a_route_are_those_whose_loss_means_its_loss() -> None:
    assert KEYS.of_route("chat") == (
        "gray:route:chat",
        "gray:route:chat:versions",
        "gray:route:chat:weights",
        "gray:route:chat:rules",
        "gray:route:chat:history",
    )
