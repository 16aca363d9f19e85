from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.routing.matchers import PatternBudget, Test, compile_matcher, equal_to


def compiled(matcher: object, fold: Callable[[str], str] = str) -> Test:
    return compile_matcher(matcher, "when.x", PatternBudget(), fold)


TABLE: list[tuple[object, list[bytes], list[bytes | None]]] = [
    # matcher, values that meet it, values that do not
    ("gold", [b"gold"], [b"Gold", b"gold ", b"", None]),
    ("", [b""], [b"x", None]),
    ("é", ["é".encode()], ["é".encode("latin-1")]),
    (["a", "b"], [b"a", b"b"], [b"c", b"ab", b"", None]),
    ({"equals": "a"}, [b"a"], [b"b", None]),
    ({"in": ["a", "b"]}, [b"a"], [b"c", None]),
    ({"prefix": "ab"}, [b"ab", b"abc"], [b"a", b"xab", None]),
    ({"suffix": "ab"}, [b"ab", b"xab"], [b"abx", None]),
    ({"contains": "ab"}, [b"ab", b"xabx"], [b"ba", None]),
    ({"glob": "gpt-4*"}, [b"gpt-4", b"gpt-4o", b"gpt-4\xff\n"], [b"gpt-3", b"xgpt-4", None]),
    ({"glob": "*"}, [b"", b"anything", b"\xff"], [None]),
    ({"glob": "v?"}, [b"v1", "vé".encode(), b"v\n"], [b"v", b"v12", b"v\xff"]),
    ({"glob": "a.b+(c)[d]\\"}, [b"a.b+(c)[d]\\"], [b"axb+(c)[d]\\"]),
    ({"regex": "v[0-9]+"}, [b"v1", b"v12"], [b"v", b"xv1", b"v1x", b"v1\n", None]),
    ({"regex": "a|bc"}, [b"a", b"bc"], [b"abc", b"ac"]),
    ({"regex": "(?i)GOLD"}, [b"gold", b"GoLd"], [b"golden"]),
    (
        {"regex": "用."},
        ["用户".encode()],
        ["用".encode(), "用\udcff".encode(errors="surrogateescape")],
    ),
    ({"regex": ".*"}, [b"", b"a\nb"], [None]),
    ({"present": True}, [b"", b"x"], [None]),
    ({"present": False}, [], [b"", b"x"]),
]


@pytest.mark.parametrize(("matcher", "met", "missed"), TABLE, ids=lambda part: str(part)[:40])
def test_a_matcher_asks_for_what_it_says(
    matcher: object, met: list[bytes], missed: list[bytes | None]
) -> None:
    test = compiled(matcher)
    assert [value for value in met if not test(value)] == []
    assert [value for value in missed if test(value)] == []


def test_only_absence_is_met_by_nothing() -> None:
    assert compiled({"present": False})(None)


def test_what_operators_write_can_be_folded_but_patterns_stay() -> None:
    assert compiled("ABC", str.lower)(b"abc")
    assert compiled(["ABC"], str.lower)(b"abc")
    assert compiled({"prefix": "AB"}, str.lower)(b"abc")
    assert compiled({"glob": "A*"}, str.lower)(b"abc")
    assert compiled({"regex": r"\S+"}, str.lower)(b"abc")


@pytest.mark.parametrize(
    ("matcher", "sentence"),
    [
        (7, "when.x: must be a text in quotes, a list of texts, or an object."),
        (None, "when.x: must be a text in quotes"),
        (True, "when.x: must be a text in quotes"),
        ({}, "when.x: must hold exactly one of equals, in,"),
        ({"prefix": "a", "suffix": "b"}, "when.x: must hold exactly one of"),
        ({"prefx": "a"}, "when.x: 'prefx' is no matcher. Did you mean prefix?"),
        ({"zzz": "a"}, "when.x: 'zzz' is no matcher. Known are: equals, in,"),
        ({"equals": 7}, "when.x: must be a text in quotes."),
        ({"prefix": ["a"]}, "when.x: must be a text in quotes."),
        ([], "when.x: must be a list of at least one text."),
        ([7], "when.x: must be a text in quotes."),
        ({"in": "a"}, "when.x: must be a list of at least one text."),
        (["a"] * 1001, "when.x: lists more than 1000; put them into a segment."),
        ("a" * 8193, "when.x: is longer than 8192 characters."),
        ({"present": "yes"}, "when.x: present is true or false."),
        ({"regex": "("}, "when.x: missing ): (; the syntax is RE2's."),
        ({"regex": r"(?=a)"}, "; the syntax is RE2's."),
        ({"regex": r"(a)\1"}, "; the syntax is RE2's."),
        ({"regex": "a" * 1001}, "when.x: the pattern is longer than 1000 characters."),
        ({"glob": "a" * 1001}, "when.x: the pattern is longer than 1000 characters."),
        ({"regex": "(a{1,1000}){1,1000}"}, "; the syntax is RE2's."),
        ({"regex": "(a{0,100}){0,8}b"}, "when.x: the patterns of this rule are too large together"),
    ],
)
def test_a_wrong_matcher_is_refused_with_a_sentence(matcher: object, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        compiled(matcher)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*a){20}", r"\s+$", "(x+x+)+y", "(a?){300}a{300}"])
@pytest.mark.parametrize(
    "value", [b"a" * 8191 + b"!", b" " * 8191 + b"!", b"ab" * 4096, b"x" * 8192]
)
def test_a17_a_malicious_pattern_stays_linear(pattern: str, value: bytes) -> None:
    """A backtracking engine would run for years: finishing at all is the proof."""
    assert not compiled({"regex": pattern})(value.replace(b"ab", b"b"))


def test_a_value_over_8_kib_meets_no_pattern() -> None:
    for matcher in ({"regex": ".*"}, {"glob": "*"}):
        assert compiled(matcher)(b"a" * 8192)
        assert not compiled(matcher)(b"a" * 8193)
    assert compiled({"prefix": "a"})(b"a" * 8193)


def test_a17_the_patterns_of_one_rule_share_what_one_may_cost() -> None:
    budget = PatternBudget()
    compile_matcher({"regex": "(a{0,100}){0,2}b"}, "when.x", budget)
    with pytest.raises(ValueError, match=r"when\.y: the patterns of this rule are too large"):
        for _ in range(9):
            compile_matcher({"glob": "?" * 40}, "when.y", budget)


def test_equality_with_one_text_can_be_told() -> None:
    assert equal_to("a") == equal_to({"equals": "a"}) == "a"
    assert equal_to(["a"]) is equal_to({"prefix": "a"}) is equal_to({"equals": 7}) is None
