"""Which fields pass, and which do not."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.proxy.fields import for_downstream, for_upstream

UNIT = ("header:X-User-Id", "cookie:uid", "ip")


def passed(*fields: tuple[str, str], trusted: bool = True) -> list[tuple[str, str]]:
    headers = CIMultiDictProxy(CIMultiDict(fields))
    return list(for_upstream(headers, UNIT, trusted=trusted).items())


@pytest.mark.parametrize(
    "name", ["Connection", "Keep-Alive", "TE", "Proxy-Authorization", "Transfer_Encoding"]
)
def test_p01_what_belongs_to_one_hop_stays_there(name: str) -> None:
    assert passed((name, "x"), ("A", "1")) == [("A", "1")]
    answer = for_downstream(CIMultiDictProxy(CIMultiDict([(name, "x"), ("A", "1")])))
    assert list(answer.items()) == [("A", "1")]


def test_p02_what_connection_names_goes_but_never_who_the_user_is() -> None:
    named = ("Connection", "X-Foo, x-user-id, Cookie,Host")
    fields = [("X-Foo", "1"), ("X-User-Id", "u"), ("Cookie", "c")]
    assert passed(named, *fields) == fields[1:]


def test_p11_order_spelling_and_repeats_are_kept() -> None:
    fields = [("X-b", "2"), ("x-A", "1"), ("X-B", "3")]
    assert passed(*fields) == fields


@pytest.mark.parametrize("name", ["X-User-Id", "x_user_id", "Forwarded", "X-Real-IP", "x_real_ip"])
def test_a10_strangers_cannot_tell_the_model_who_they_are(name: str) -> None:
    assert passed((name, "evil"), ("A", "1"), trusted=False) == [("A", "1")]


def test_a10_a_user_id_that_came_twice_or_in_another_spelling_is_none() -> None:
    assert passed(("X-User-Id", "u"), ("x-user-id", "v")) == []
    assert passed(("X-User-Id", "u"), ("X_User_Id", "v"), ("X_Real_IP", "1")) == [
        ("X-User-Id", "u")
    ]


@pytest.mark.parametrize("name", ["X-Graygate-Version", "X_Graygate_Version", "x-graygate_x"])
def test_a12_names_of_ours_pass_in_no_spelling(name: str) -> None:
    assert passed((name, "v9")) == []


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X_Forwarded_For", "X_Request_Id"])
def test_what_the_gateway_says_itself_is_not_said_twice(name: str) -> None:
    assert passed((name, "6.6.6.6")) == []


def test_other_names_with_underscores_pass() -> None:
    assert passed(("x_plan", "gold"), trusted=False) == [("x_plan", "gold")]


def test_a_unit_in_authorization_does_not_take_the_token_from_the_model() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer t"}))
    assert for_upstream(headers, ["header:authorization"], trusted=False) == headers
