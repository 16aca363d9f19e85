"""What may stand in a log: nothing that moves a terminal, and no secret."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from gateway.config.log_text import MASK, Redactor, is_secret_name, masked_query, printable
from gateway.config.secret import Secret

CANARY = "hunter2-Canary.5ecret"


@pytest.mark.parametrize(
    "text",
    [
        f"redis://:{CANARY}@host:6379/0",
        f"rediss://user:{CANARY}/with@signs@host",
        f"redis+sentinel://:{CANARY}@h1:1,h2:2/main",
        f"http://user:{CANARY}@model:8000/v1",
        f"Authorization: Bearer {CANARY}",
        f"authorization: {CANARY}",
        f"Proxy-Authorization: Basic {CANARY} and more {CANARY}",
        f"('Authorization', 'Bearer {CANARY}')",
        f"{{b'authorization': b'{CANARY}'}}",
        f'{{"x-api-key": "{CANARY}"}}',
        f"X-Api-Key: {CANARY}",
        f"api-key: {CANARY}",
        f"x-goog-api-key={CANARY}",
        f"Cookie: session={CANARY}; other={CANARY}",
        f"Set-Cookie: id={CANARY}; Path=/",
        f"X-Graygate-Override: v2:{CANARY}",
        f"sent bearer {CANARY} upstream",
        f"password={CANARY}",
        f"client_secret={CANARY}&x=1",
        f'{{"password": "{CANARY}"}}',
        f"GET /v1/models?key={CANARY} HTTP/1.1",
        f"GET /v1?a=b&access_token={CANARY}&c=d",
        "the key sk-abcdefghijklmnopqrstuvwx",
        "the token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    ],
)
def test_A14_what_looks_like_a_secret_is_hidden(text: str) -> None:
    shown = Redactor()(text)
    assert MASK in shown
    assert CANARY not in shown
    assert "abcdefghijklmnopqrstuvwx" not in shown and "eyJhbGci" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "Route chat, version v1, http://10.0.0.1:8000/v1: refused",
        "admin.token: must be printable ASCII: it travels in an Authorization header",
        "without a token the admin port stays on loopback; set admin.token or admin.token_file",
        "redis.password_file: names a file that is not there",
        "The store refuses our user or password.",
        "Ready: data port http://127.0.0.1:8080, admin port http://127.0.0.1:8081.",
        "redis+sentinel://h1:26379,h2:26379/main/0",
        "bearer token",
    ],
)
def test_what_operators_must_read_stays(text: str) -> None:
    assert Redactor()(text) == text


@pytest.mark.parametrize("secret", ["p4ss word", "with'quote\"s", "back\\slash", "ünïcode-pass"])
def test_A14_a_known_secret_is_hidden_wherever_and_however_it_stands(secret: str) -> None:
    redact = Redactor([Secret(secret), Secret(""), Secret("abc")])
    for text in (secret, repr(secret), quote(secret, safe=""), f"x{secret}y", repr(f"[{secret}]")):
        shown = redact(f"before {text} behind")
        assert secret not in shown and repr(secret)[1:-1] not in shown
        assert MASK in shown
    assert redact("abc") == "abc"  # too short to be told from words


def test_of_two_secrets_the_one_that_holds_the_other_goes_first() -> None:
    assert Redactor([Secret("pass"), Secret("password1")])("password1 pass") == "*** ***"


def test_searching_takes_no_longer_than_its_text_deserves() -> None:
    texts = ["a." * 8000, "a-a_" * 4000, "unix://" * 2000, "x://" * 4000, "authorization" * 1000]
    started = time.process_time()
    for text in texts:
        Redactor()(text)
    assert time.process_time() - started < 10  # quadratic ones took minutes


@pytest.mark.parametrize(
    "name",
    [
        *("key", "token", "access_token", "secret", "password", "signature", "sig", "api_key"),
        *("apikey", "api-key", "API_KEY", "X-Amz-Signature", "X-Amz-Credential", "client_secret"),
        *("subscription-key", "auth", "code", "jwt", "sessionid", "refreshToken", "passwd", "pwd"),
    ],
)
def test_A14_names_that_secrets_go_by(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["model", "limit", "user", "q", "stream", "encoding", "page"])
def test_names_of_ordinary_parameters(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("a=1&b=2", "a=1&b=2"),
        ("key=x", "key=***"),
        ("a=1&token=x&b=2", "a=1&token=***&b=2"),
        ("a=1;token=x", "a=1;token=***"),
        ("%6bey=x", "%6bey=***"),
        ("api+key=x", "api+key=***"),
        ("filter[secret]=x", "filter[secret]=***"),
        ("key=a=b", "key=***"),
        ("key", "key"),
        ("key=", "key=***"),
        ("&&=&key=x&", "&&=&key=***&"),
        ("uid=alice", "uid=***"),
    ],
)
def test_A14_values_of_secret_parameters_are_masked(query: str, shown: str) -> None:
    assert masked_query(query, {"uid"}) == shown


def test_A13_text_that_moves_a_terminal_is_escaped() -> None:
    nasty = "a\r\nb\x1b[2J\x85\u2028\u202e\x7f\ud800"
    assert printable(nasty) == r"a\r\nb\x1b[2J\x85\u2028\u202e\x7f\ud800"
    assert printable("naïve 模型") == "naïve 模型"
