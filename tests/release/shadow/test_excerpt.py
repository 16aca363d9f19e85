from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.log_text import Redactor
from gateway.config.secret import Secret
from gateway.release.shadow.excerpt import MOST_BYTES, excerpts
from tests.release.compare.kit import answer

KEY = "sk-abcdefghijklmnopqrst"


def plain(text: str) -> str:
    return text


def test_short_answers_are_shown_whole() -> None:
    assert excerpts(answer(b"yes"), answer(b"no"), plain) == ("yes", "no")


def test_of_long_ones_the_place_is_shown_where_they_begin_to_differ() -> None:
    same = "a" * 5000
    one, other = excerpts(
        answer(f"{same}ONE{same}".encode()), answer(f"{same}TWO{same}".encode()), plain
    )
    assert one.startswith("...a") and "aONEa" in one and one.endswith("a...")
    assert "aTWOa" in other and "ONE" not in other


def test_what_only_begins_alike_is_shown_to_its_end() -> None:
    one, other = excerpts(answer(b"x" * 300), answer(b"x" * 300 + b"y"), plain)
    assert (one, other) == ("..." + "x" * 200, "..." + "x" * 200 + "y")


def test_secrets_are_hidden_before_anything_is_cut() -> None:
    """The cut would go through the key, and what is left of it would look like no key."""
    text = f"{'b' * 150}{'c' * 300} {KEY} {'d' * 190}"
    redact = Redactor([Secret("hunter22")])
    one, other = excerpts(answer(f"{text}1 hunter22".encode()), answer(f"{text}2".encode()), redact)
    assert KEY[-8:] not in one + other and "hunter22" not in one
    assert "1 ***" in one


def test_a_coded_answer_is_shown_decoded_and_one_that_cannot_be_read_not_at_all() -> None:
    coded = answer(gzip.compress(b"hello"), content_encoding="gzip")
    broken = answer(b"\x1f\x8b??", content_encoding="gzip")
    assert excerpts(coded, broken, plain) == ("hello", "")


def test_what_is_kept_of_a_longer_answer_is_shown() -> None:
    assert excerpts(answer(b"abc", is_truncated=True), answer(b"\xff"), plain)[1] == "\ufffd"
    assert excerpts(answer(b"abc", is_truncated=True), answer(b"\xff"), plain)[0] == "abc"


@given(st.text(max_size=2000), st.text(max_size=2000), st.text(max_size=2000))
def test_no_side_is_longer_than_it_may_be(same: str, one: str, other: str) -> None:
    shown = excerpts(
        answer((same + one).encode(errors="replace")),
        answer((same + other).encode(errors="replace")),
        plain,
    )
    assert all(len(side.encode()) <= MOST_BYTES for side in shown)
