from __future__ import annotations

import datetime
import math
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from gateway.config import kinds
from gateway.config.secret import Secret

PORT = Annotated[int, Meta(ge=0, le=65535), Meta(description="a port")]
SECONDS = Annotated[float, Meta(gt=0, le=60)]
WORKERS = Annotated[Annotated[int, Meta(ge=1, le=8)] | Literal["auto"], Meta(description="n")]
LEVEL = Annotated[Literal["debug", "info"], Meta(description="a level")]
TEXTS = Annotated[tuple[str, ...], Meta(description="texts")]
SECRET = Annotated[Secret, Meta(description="hidden")]


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (PORT, "a whole number from 0 to 65535"),
        (SECONDS, "a number above 0, at most 60"),
        (Annotated[float, Meta(gt=0)], "a number above 0"),
        (Annotated[int, Meta(ge=1)], "a whole number, at least 1"),
        (Annotated[int, Meta(le=9)], "a whole number, at most 9"),
        (int, "a whole number"),
        (WORKERS, "a whole number from 1 to 8, or auto"),
        (LEVEL, "one of debug, info"),
        (TEXTS, "a list of texts"),
        (bool, "true or false"),
        (str, "text"),
        (SECRET, "text, kept secret"),
    ],
)
def test_words_say_what_a_setting_takes(hint: object, told: str) -> None:
    assert kinds.words(hint) == told


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (PORT, "8080", 8080),
        (PORT, " 8080\n", 8080),
        (SECONDS, "1", 1.0),
        (SECONDS, "2.5", 2.5),
        (SECONDS, "1e1", 10.0),
        (bool, "true", True),
        (bool, "YES", True),
        (bool, "1", True),
        (bool, "No", False),
        (bool, "0", False),
        (bool, "false", False),
        (WORKERS, "3", 3),
        (WORKERS, "auto", "auto"),
        (WORKERS, " auto ", "auto"),
        (LEVEL, "debug ", "debug"),
        (TEXTS, "10.0.0.0/8, ::1/128,", ("10.0.0.0/8", "::1/128")),
        (TEXTS, "", ()),
        (str, " as it is ", " as it is "),
        (str, "", ""),
        (SECRET, " kept ", Secret(" kept ")),
    ],
)
def test_a_line_of_text_is_read_by_the_type_of_the_setting(
    hint: object, text: str, value: object
) -> None:
    assert kinds.accept(hint, kinds.from_text(hint, text)) == value


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (PORT, ""),
        (PORT, "abc"),
        (PORT, "80.5"),
        (PORT, "0x50"),
        (PORT, "8_080"),
        (PORT, "65536"),
        (PORT, "-1"),
        (PORT, "9" * 5000),
        (PORT, "٣"),
        (SECONDS, "0"),
        (SECONDS, "nan"),
        (SECONDS, "inf"),
        (SECONDS, "61"),
        (SECONDS, "1s"),
        (bool, "on"),
        (bool, "2"),
        (WORKERS, "0"),
        (WORKERS, "AUTO"),
        (LEVEL, "verbose"),
    ],
)
def test_text_that_is_no_such_value_is_refused(hint: object, text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        kinds.accept(hint, kinds.from_text(hint, text))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (PORT, "8080"),
        (PORT, True),
        (PORT, 80.5),
        (SECONDS, math.nan),
        (SECONDS, math.inf),
        (SECONDS, True),
        (bool, 1),
        (bool, "true"),
        (TEXTS, "a,b"),
        (TEXTS, ["a", 1]),
        (str, 5),
        (str, datetime.date(2025, 1, 1)),
        (WORKERS, "many"),
        (SECRET, 5),
        (SECRET, ["a"]),
    ],
)
def test_a_value_of_the_file_must_have_the_type_itself(hint: object, value: object) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        kinds.accept(hint, value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("abc", "'abc'"),
        ("two\nlines\x1b", "'two\\nlines\\x1b'"),
        ("x" * 100, f"'{'x' * 60}...'"),
        ("redis://h", "that text"),
        ("user@host", "that text"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        (["redis://:p@h"], "that list"),
        ({"a": 1}, "a table"),
        (datetime.date(2025, 1, 1), "a date or time"),
        (datetime.time(1, 2), "a date or time"),
    ],
)
def test_a_refused_value_is_named_without_what_may_hold_credentials(
    value: object, told: str
) -> None:
    assert kinds.shown(value) == told
