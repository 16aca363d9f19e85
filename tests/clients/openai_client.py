"""The openai library as the tests use it, and all that a program can learn from its exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.openai_api import WORDS
from tests.clients.ways import Way, fields

MESSAGES: Any = [{"role": "user", "content": "Which version answers? ☂"}]
TEXT = "".join(WORDS)


@contextmanager
def client(way: Way | str, **options: Any) -> Iterator[OpenAI]:
    url = way if isinstance(way, str) else way.url
    options = {"max_retries": 0, "timeout": 20.0, **options}
    with OpenAI(base_url=f"{url}/v1", api_key="sk-secret", **options) as found:
        yield found


def told(error: openai.APIError) -> tuple[object, ...]:
    """All that a program can learn from an exception of the library."""
    what = (type(error), error.message, error.body, error.code, error.param, error.type)
    if not isinstance(error, openai.APIStatusError):
        return (*what, type(error.__cause__), str(error.__cause__))
    answer = error.response
    return (*what, error.status_code, answer.reason_phrase, fields(answer.headers.multi_items()))


def failure(call: Callable[[], object]) -> tuple[object, ...]:
    with pytest.raises(openai.APIError) as caught:
        call()
    return told(caught.value)
