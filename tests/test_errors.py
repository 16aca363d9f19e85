from __future__ import annotations

import re

import pytest

from gateway import errors
from gateway.errors import DownstreamError, GraygateError, Retry, Source, UpstreamError


def tree() -> dict[str, str]:
    """Each class that the module's docstring draws, and the one it is drawn under."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z][A-Za-z]+)(?:  |$)", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


def every(base: type[GraygateError]) -> list[type[GraygateError]]:
    ours = (each for each in base.__subclasses__() if each.__module__ == errors.__name__)
    return [base, *(one for each in ours for one in every(each))]


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    real = {one.__name__: one.__mro__[1].__name__ for one in every(GraygateError)}
    assert tree() == real


@pytest.mark.parametrize("error", every(UpstreamError), ids=lambda error: error.__name__)
def test_an_upstream_error_tells_clients_nothing_of_our_network(error: type[UpstreamError]) -> None:
    raised = error("The model did not answer.", "10.0.0.1:8000 refused")
    assert str(raised) == "The model did not answer."
    assert raised.detail == "10.0.0.1:8000 refused"
    assert (raised.source, raised.status // 100) == (Source.UPSTREAM, 5)


def test_only_what_provably_had_no_effect_may_be_sent_again() -> None:
    may = {error.code: error.retry for error in every(UpstreamError)[1:]}
    assert may == {
        "upstream_connect_failed": Retry.IF_UNSENT,
        "upstream_connect_timeout": Retry.IF_UNSENT,
        "upstream_timeout": Retry.NEVER,
        "upstream_protocol_error": Retry.NEVER,
        "upstream_gone": Retry.IF_REUSED,
        "no_endpoint": Retry.LATER,
        "overloaded": Retry.LATER,
    }


def test_a_downstream_error_carries_its_own_status_and_code() -> None:
    error = DownstreamError(431, "head_too_large", "The head has more than 65536 bytes.")
    assert (error.status, error.code, str(error)) == (
        431,
        "head_too_large",
        "The head has more than 65536 bytes.",
    )
    assert (error.source, error.retry) == (Source.DOWNSTREAM, Retry.NEVER)
