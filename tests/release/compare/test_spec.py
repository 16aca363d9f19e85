from __future__ import annotations

import pytest

from gateway.release.compare.spec import CompareSpec, read_spec


def test_nothing_written_means_auto() -> None:
    assert read_spec("{}") == CompareSpec()


def test_what_is_written_is_taken_over() -> None:
    spec = read_spec('{"kind": "label", "path": "scores", "gap": 0.1, "ignore": ["a.*.b"]}')
    assert (spec.kind, spec.path, spec.gap, spec.ignore) == ("label", "scores", 0.1, ("a.*.b",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "fuzzy"}', "fuzzy"),
        ('{"kindd": "json"}', "'kindd' is no field of a comparison. Did you mean kind"),
        ('{"gap": 7}', "gap"),
        ("[1]", "object"),
        ("{", "truncated"),
    ],
)
def test_what_is_wrong_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        read_spec(text)
