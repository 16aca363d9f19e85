from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from gateway.release.compare.answer import MAX_INFLATED_BYTES, Answer, Unreadable
from gateway.release.compare.compare import compare
from gateway.release.compare.spec import CompareSpec
from tests.release.compare.kit import answer, chat, document, stream

AUTO = CompareSpec()


def verdict(one: Answer, other: Answer, spec: CompareSpec = AUTO) -> str:
    """ "" when they are the same, else the reason."""
    found = compare(one, other, spec)
    assert found.differs == bool(found.reason)
    return found.reason


class TestBeforeTheContentIsLookedAt:
    def test_the_same_bytes_are_the_same_even_if_they_cannot_be_read(self) -> None:
        odd = answer(b"\xff", content_encoding="br", is_truncated=True)
        assert verdict(odd, odd) == ""

    def test_another_status_or_a_failure_of_the_copy_differs(self) -> None:
        good = chat("hello")
        assert verdict(good, replace(good, status=500)) == "status"
        assert verdict(good, replace(good, status=0, failure="timeout")) == "failed"

    @pytest.mark.parametrize("changes", [{"status": 503}, {"status": 404}, {"failure": "cut"}])
    def test_of_an_answer_that_was_no_good_one_nothing_is_said(
        self, changes: dict[str, object]
    ) -> None:
        bad = replace(chat("hello"), **changes)  # type: ignore[arg-type]
        with pytest.raises(Unreadable):
            compare(bad, chat("hello"), AUTO)


class TestWhatAutoTakesAnAnswerFor:
    def test_json_is_compared_field_by_field(self) -> None:
        assert verdict(document({"id": 1, "risk": 0.5}), document({"id": 2, "risk": 0.5})) == ""
        assert verdict(document({"risk": 0.5}), document({"risk": 0.6})) == "value"

    def test_a_chat_is_compared_as_text(self) -> None:
        same = "The capital of France is Paris, on the river Seine."
        other = "Paris is the capital of France; it lies on the Seine."
        assert verdict(chat(same), chat(other, number=2)) == ""
        assert verdict(chat(same), chat("I'm sorry, but I can't help with that.")) == "refusal"

    def test_a_stream_is_compared_as_the_text_it_adds_up_to(self) -> None:
        assert verdict(stream("Hel", "lo"), stream("Hello")) == ""
        assert verdict(stream("Hello"), stream()) == "empty"

    def test_embeddings_are_compared_by_their_angle(self) -> None:
        one = document({"data": [{"embedding": [1.0, 0.0]}], "usage": 1})
        near = document({"data": [{"embedding": [2.0, 0.1]}], "usage": 2})
        far = document({"data": [{"embedding": [1.0, 1.0]}]})
        assert (verdict(one, near), verdict(one, far)) == ("", "cosine")

    def test_anything_else_is_compared_byte_by_byte(self) -> None:
        one, other = answer(b"\x00\x01", "image/png"), answer(b"\x00\x02", "image/png")
        assert verdict(one, other) == "bytes"


class TestCodings:
    def test_what_is_packed_is_unpacked(self) -> None:
        plain = document({"a": 1, "id": 1})
        packed = document({"a": 1, "id": 2})
        packed = replace(packed, body=gzip.compress(packed.body), content_encoding="gzip")
        assert verdict(plain, packed) == ""

    def test_a_bomb_is_not_unpacked_to_its_end(self) -> None:
        packed = gzip.compress(b" " * (MAX_INFLATED_BYTES + 1))
        bomb = answer(packed, content_encoding="gzip")
        with pytest.raises(Unreadable, match="longer"):
            bomb.content()

    @pytest.mark.parametrize(
        ("body", "coding", "words"),
        [
            (b"x", "gzip", "no whole gzip"),
            (gzip.compress(b"x" * 99, mtime=0)[:-9], "gzip", "whole"),
            (b"x", "br", "is not read"),
            (b"x", "zstd", "is not read"),
        ],
    )
    def test_what_cannot_be_unpacked_says_so(self, body: bytes, coding: str, words: str) -> None:
        with pytest.raises(Unreadable, match=words):
            answer(body, content_encoding=coding).content()

    def test_of_a_truncated_body_nothing_is_said_unless_bytes_are_asked_for(self) -> None:
        cut = answer(b"{}", is_truncated=True, size_bytes=10**6, digest=1)
        other = replace(cut, digest=2)
        assert verdict(cut, other, CompareSpec(kind="exact")) == "bytes"
        with pytest.raises(Unreadable, match="longer"):
            compare(cut, other, CompareSpec(kind="json"))


class TestKindsThatAreAskedFor:
    def test_a_copy_that_is_no_json_where_json_is_asked_for_differs(self) -> None:
        asked = CompareSpec(kind="json")
        assert verdict(document({}), answer(b"<html>", "text/html"), asked) == "type"

    def test_labels_are_compared_by_the_best_score(self) -> None:
        asked = CompareSpec(kind="label", path="scores")
        one = document({"scores": {"cat": 0.7, "dog": 0.3}})
        assert verdict(one, document({"scores": {"cat": 0.68, "dog": 0.32}}), asked) == ""
        assert verdict(one, document({"scores": {"cat": 0.6, "dog": 0.4}}), asked) == "score"
        assert verdict(one, document({"scores": {"cat": 0.4, "dog": 0.6}}), asked) == "label"

    def test_a_plug_in_has_the_last_word_on_texts(self) -> None:
        one, other = chat("a text of some length, just so"), chat("another one, of the same kind")
        asked = CompareSpec(kind="text", distance=0.2)
        near = compare(one, other, asked, lambda a, b: 0.1)
        far = compare(one, other, asked, lambda a, b: 0.3)
        assert (near.differs, far.differs, far.reason) == (False, True, "distance")

    def test_a_text_that_is_json_for_one_only_differs_in_structure(self) -> None:
        one = chat(json.dumps({"answer": "yes", "why": "because it is"}))
        assert verdict(one, chat("The answer is yes, because it is what it is.")) == "structure"

    def test_a_text_of_less_than_half_the_length_differs(self) -> None:
        assert verdict(chat("word " * 40), chat("word " * 15)) == "length"
        assert verdict(chat("yes"), chat("certainly, yes")) == ""
