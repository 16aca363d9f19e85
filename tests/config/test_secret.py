from __future__ import annotations

from gateway.config.secret import Secret

CANARY = "hunter2"


def test_only_reveal_gives_the_text_out() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret):  # noqa: UP031
        assert CANARY not in text
        assert "***" in text


def test_an_empty_secret_is_false_and_says_that_it_is_empty() -> None:
    assert not Secret()
    assert Secret(CANARY)
    assert repr(Secret()) == "Secret('')"


def test_secrets_are_compared_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
