"""Matchers: what a condition asks of one value.

    "gold"                          the value equals
    ["gold", "silver"]              equals any of these
    {"equals": ...}  {"in": [...]}  the same, written out
    {"prefix": ...}  {"suffix": ...}  {"contains": ...}
    {"glob": "gpt-4*"}              the whole value; * is any text, ? is any one character
    {"regex": "v[0-9]+"}            the whole value, RE2 syntax
    {"present": true}               it is there, be it empty; false: it is not

Values are bytes; what operators write is UTF-8. Everything but `present: false` needs the value to
be there. Patterns run in RE2: in time linear in the value whatever the pattern; a value of more
than 8 KiB meets no pattern, and all patterns of a rule together are bounded in size.
"""

from __future__ import annotations

from collections.abc import Callable

import re2

from gateway.routing.suggest import suggest

MAX_TEXT = 8 * 1024
MAX_PATTERN = 1000
MAX_LISTED = 1000
_MAX_VALUE_BYTES = 8 * 1024
# Below 1 MiB RE2 gives up its fast automaton for patterns such as (?:.*a){0,60}b, which then take
# 45 ms for 8 KiB instead of 0.5 ms.
_MAX_PATTERN_MEMORY = 1024 * 1024
# Where RE2 must give it up all the same, time is instructions times bytes: up to 45 ms for a rule.
_MAX_INSTRUCTIONS = 1000

_KINDS = ("equals", "in", "prefix", "suffix", "contains", "glob", "regex", "present")

Test = Callable[[bytes | None], bool]


class PatternBudget:
    """What the patterns of one rule may still cost, and with it those of `within`."""

    def __init__(
        self,
        instructions: int = _MAX_INSTRUCTIONS,
        of: str = "this rule",
        within: PatternBudget | None = None,
    ) -> None:
        self._left = instructions
        self._of = of
        self._within = within

    def __repr__(self) -> str:
        return f"<PatternBudget of {self._of}: {self._left} instructions left>"

    @property
    def is_overspent(self) -> bool:
        return self._left < 0

    def spend(self, instructions: int, where: str) -> None:
        self._left -= instructions
        if self._left < 0:
            raise ValueError(
                f"{where}: the patterns of {self._of} are too large together; "
                "use a list or fewer repetitions."
            )
        if self._within is not None:
            self._within.spend(instructions, where)


def compile_matcher(
    matcher: object, where: str, budget: PatternBudget, fold: Callable[[str], str] = str
) -> Test:
    """Raises ValueError naming `where`; `fold` is applied to the operator's texts."""
    kind, wanted = _kind(matcher, where)
    if kind == "equals":
        return _equals(fold(_text(wanted, where)).encode())
    if kind == "in":
        return _is_in(frozenset(fold(text).encode() for text in _texts(wanted, where)))
    if kind == "present":
        if not isinstance(wanted, bool):
            raise ValueError(f"{where}: present is true or false.")
        return _is_present if wanted else _is_absent
    text = _text(wanted, where)
    if kind == "regex":  # not folded: \S is not \s
        return _pattern(text, text, where, budget)
    if kind == "glob":
        return _pattern(_glob(fold(text)), text, where, budget)
    return _PARTS[kind](fold(text).encode())


def equal_to(matcher: object) -> str | None:
    """The text of a matcher that asks for equality with one text; None for all others."""
    if isinstance(matcher, dict):
        matcher = matcher.get("equals") if len(matcher) == 1 else None
    return matcher if isinstance(matcher, str) else None


def _kind(matcher: object, where: str) -> tuple[str, object]:
    if isinstance(matcher, str):
        return "equals", matcher
    if isinstance(matcher, list):
        return "in", matcher
    if not isinstance(matcher, dict):
        raise ValueError(f"{where}: must be a text in quotes, a list of texts, or an object.")
    for key in matcher:
        if key not in _KINDS:
            raise ValueError(f"{where}: {key!r} is no matcher.{suggest(str(key), _KINDS)}")
    if len(matcher) != 1:
        raise ValueError(f"{where}: must hold exactly one of {', '.join(_KINDS)}.")
    return next(iter(matcher.items()))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where}: must be a text in quotes.")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{where}: is longer than {MAX_TEXT} characters.")
    return value


def _texts(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{where}: must be a list of at least one text.")
    if len(value) > MAX_LISTED:
        raise ValueError(f"{where}: lists more than {MAX_LISTED}; put them into a segment.")
    return [_text(item, where) for item in value]


def _equals(wanted: bytes) -> Test:
    return lambda value: value == wanted


def _is_in(wanted: frozenset[bytes]) -> Test:
    return lambda value: value in wanted


def _is_present(value: bytes | None) -> bool:
    return value is not None


def _is_absent(value: bytes | None) -> bool:
    return value is None


_PARTS: dict[str, Callable[[bytes], Test]] = {
    "prefix": lambda part: lambda value: value is not None and value.startswith(part),
    "suffix": lambda part: lambda value: value is not None and value.endswith(part),
    "contains": lambda part: lambda value: value is not None and part in value,
}


def _glob(text: str) -> str:
    r"""As a pattern; `\C` is any byte, so that `*` also spans what is no valid UTF-8."""
    wild = {"*": r"\C*", "?": "."}
    return "".join(wild.get(letter) or re2.escape(letter) for letter in text)


def _pattern(pattern: str, shown: str, where: str, budget: PatternBudget) -> Test:
    if len(shown) > MAX_PATTERN:
        raise ValueError(f"{where}: the pattern is longer than {MAX_PATTERN} characters.")
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    options.dot_nl = True
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"{where}: {_reason(error)}; the syntax is RE2's.") from None
    budget.spend(compiled.programsize, where)
    full_match = compiled.fullmatch
    return lambda value: (
        value is not None and len(value) <= _MAX_VALUE_BYTES and full_match(value) is not None
    )


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "the pattern is wrong"
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
