from __future__ import annotations

from gateway.routing.suggest import suggest


def test_a_near_miss_gets_the_word_that_was_meant() -> None:
    assert suggest("heeder", ["header", "cookie"]) == " Did you mean header?"


def test_anything_else_gets_the_list() -> None:
    assert suggest("zzz", ["header", "cookie"]) == " Known are: header, cookie."
