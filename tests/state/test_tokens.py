from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.token import ROLES
from gateway.errors import StoreDenied, StoreError
from gateway.state.keys import Keys
from gateway.state.tokens import (
    MAX_TOKENS,
    Role,
    Token,
    TokenBook,
    digest,
    new_secret,
    reaches,
    read_entry,
)

ID, TEXT = "0a1b2c3d", "gray_0a1b2c3d_secret_with_bars"
GOOD = {
    "name": "ci", "role": "operator", "routes": ["chat*"], "hash": digest(TEXT), "created": 1,
    "expires": 0, "revoked": 0,
}  # fmt: skip


def entry(**changes: object) -> bytes:
    return msgspec.json.encode({**GOOD, **changes})


def book(*entries: tuple[str, bytes]) -> TokenBook:
    known = TokenBook(Keys())
    known.take({key.encode(): text for key, text in entries})
    return known


def test_a_token_is_found_by_its_whole_text_only() -> None:
    known = book((ID, entry()))
    found = known.find(TEXT, 5.0)
    assert found is not None
    assert (found.id, found.token.name, found.token.rank) == (ID, "ci", Role.OPERATOR)
    others = ("", "gray", "gray_", f"gray_{ID}", f"grey{TEXT[4:]}", TEXT.replace(ID, "0a1b2c3e"),
              TEXT + "x", TEXT[:-1], digest(TEXT), f"gray_{ID}_{digest(TEXT)}")  # fmt: skip
    for text in others:
        assert known.find(text, 5.0) is None, text


@pytest.mark.parametrize(
    ("changes", "now", "is_valid"),
    [
        ({}, 1e12, True),
        ({"expires": 100}, 99.9, True),
        ({"expires": 100}, 100.0, False),
        ({"revoked": 1}, 0.0, False),
        ({"revoked": 200, "expires": 300}, 100.0, False),
    ],
)
def test_it_is_valid_until_it_ends_and_never_once_it_is_taken_back(
    changes: dict[str, int], now: float, is_valid: bool
) -> None:
    assert (book((ID, entry(**changes))).find(TEXT, now) is not None) is is_valid


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""}, {"name": "a b"}, {"name": "admin"}, {"name": "redis"}, {"name": 5},
        {"role": "root"}, {"role": ""}, {"role": "Admin"}, {"routes": []}, {"routes": "*"},
        {"routes": ["*"] * 101}, {"routes": ["[a-z]"]}, {"routes": [""]}, {"routes": ["a/b"]},
        {"route": ["chat"]}, {"hash": ""}, {"hash": "x" * 71}, {"hash": digest("") + "0"},
        {"created": -1}, {"expires": -1}, {"revoked": -1}, {"expires": "soon"}, {"expires": 1e30},
        {"revoked": None}, {"revoked": False},
    ],
)  # fmt: skip
def test_A20_an_entry_with_anything_wrong_is_valid_for_nobody_and_told(
    changes: dict[str, object],
) -> None:
    known = book((ID, entry(**changes)), ("ffffffff", entry()))
    assert known.find(TEXT, 5.0) is None
    assert list(known.tokens) == ["ffffffff"]
    [refusal] = known.refused
    assert (refusal.key, refusal.reason) == ("gray:tokens", "bad_token")
    assert "HDEL gray:tokens '0a1b2c3d'" in refusal.text
    assert GOOD["hash"] not in refusal.text  # type: ignore[operator]  # it is a text


@given(st.text(), st.binary())
def test_A20_no_garbage_is_a_token(token_id: str, text: bytes) -> None:
    assert isinstance(read_entry(token_id, text), str)
    assert isinstance(read_entry(ID, text), str)


@pytest.mark.parametrize(
    "reply",
    [
        {}, [], None, StoreError("WRONGTYPE Operation against a key"), StoreDenied("no right"),
        {b"%08x" % number: entry() for number in range(MAX_TOKENS + 1)},
    ],
)  # fmt: skip
def test_A20_what_cannot_be_read_opens_nothing(reply: object) -> None:
    known = book((ID, entry()))
    known.take(reply)
    assert known.find(TEXT, 5.0) is None
    known.take([ID.encode(), entry()])  # as RESP2 tells it
    assert known.find(TEXT, 5.0) is not None
    assert known.refused == ()


def test_a_refusal_is_announced_once() -> None:
    told: list[int] = []
    known = TokenBook(Keys(), lambda: told.append(1))
    for _ in range(3):
        known.take({b"x": b"y"})
    assert told == [1]
    known.take({})
    assert (told, repr(known)) == ([1, 1], "<TokenBook of 0, 0 refused>")


def test_new_ones_hold_256_random_bits_and_their_own_id() -> None:
    made = [new_secret() for _ in range(100)]
    assert len({text for _, text in made}) == 100
    for token_id, text in made:
        assert text.startswith(f"gray_{token_id}_")
        assert len(text) == len("gray_00000000_") + 43  # 32 bytes
        token = Token("ci", "viewer", ("*",), digest(text), 1)
        assert read_entry(token_id, msgspec.json.encode(token)) == token


def test_globs_reach_routes() -> None:
    assert reaches(["*"], "chat")
    assert reaches(["a", "ch?t"], "chat")
    assert not reaches(["chat"], "chat2")
    assert not reaches(["CHAT*", ""], "chat")


def test_the_command_offers_the_roles_there_are() -> None:
    assert tuple(map(str, Role)) == ROLES
    assert sorted(Role) == list(Role)
