"""Sessions of the console as a browser has them, and what a foreign page cannot do with them."""

from __future__ import annotations

import http.cookies
import ssl
from collections.abc import AsyncIterator
from http.cookies import Morsel

import aiohttp
import pytest

from tests.admin.running import Answer, Running, Text, plant, redis_settings, revision, running
from tests.admin.table import CALLS, OPEN
from tests.admin.test_guard import TOKEN, made
from tests.servers import Server
from tests.tls import Authority

METHOD, PATH, CONTENT = "PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 20}}
PUT = (METHOD, PATH, CONTENT)


@pytest.fixture
async def guarded(store: Server) -> AsyncIterator[Running]:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as guarded:
        await revision(guarded)
        yield guarded


class Browser:
    """A signed-in page: it sends its cookie, says where it is from, and repeats its value."""

    def __init__(self, side: Running, answer: Answer) -> None:
        assert answer.status == 200, answer
        [self.morsel] = cookies(answer).values()
        self.csrf = answer.json["csrf"]
        self.side = side
        self.headers = {
            "cookie": f"{self.morsel.key}={self.morsel.value}",
            "origin": side.url,
            "sec_fetch_site": "same-origin",
            "x_graygate_csrf": self.csrf,
        }

    async def ask(
        self, method: str, path: str, content: object = None, /, **other: str | None
    ) -> Answer:
        headers = {name: value for name, value in {**self.headers, **other}.items() if value}
        return await self.side.ask(method, path, content, **headers)


def cookies(answer: Answer) -> dict[str, Morsel[str]]:
    jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    for line in answer.headers.getall("Set-Cookie", []):
        jar.load(line)
    return dict(jar)


async def sign_in(side: Running, token: str = TOKEN) -> Browser:
    return Browser(side, await side.ask("POST", "/api/v1/session", authorization=f"Bearer {token}"))


async def test_A05_a_token_becomes_a_cookie_that_no_script_and_no_other_site_gets(
    guarded: Running,
) -> None:
    browser = await sign_in(guarded)
    morsel = browser.morsel
    assert (morsel.key, morsel["path"], morsel["samesite"]) == ("graygate", "/", "Strict")
    assert morsel["httponly"] is True
    assert (morsel["domain"], morsel["max-age"], morsel["secure"]) == ("", "43200", "")
    told = (await browser.ask("GET", "/api/v1/session")).json
    assert (told["name"], told["role"], told["csrf"]) == ("admin", "admin", browser.csrf)
    assert (await browser.ask("GET", "/api/v1/whoami")).json["name"] == "admin"
    assert morsel.value not in str(told) and TOKEN not in str(told)


async def test_A05_with_tls_the_cookie_is_bound_to_it_and_to_this_host(
    store: Server, authority: Authority
) -> None:
    cert, key = authority.issue("admin")
    plant(store)
    async with running(redis_settings(store), token=TOKEN, tls_cert=cert, tls_key=key) as side:
        context = ssl.create_default_context(cafile=authority.ca)
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{side.url}/api/v1/session",
                ssl=context,
                headers={"Authorization": f"Bearer {TOKEN}", "Origin": side.url},
            ) as answer,
        ):
            assert answer.status == 200
            [morsel] = answer.cookies.values()
        assert (morsel.key, morsel["secure"]) == ("__Host-graygate", True)
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"{side.url}/api/v1/state",
                ssl=context,
                headers={
                    "Authorization": f"Bearer {TOKEN}",
                    "Origin": side.url.replace("https:", "http:"),
                },
            ) as answer,
        ):
            assert answer.status == 403  # whoever may alter what is not encrypted wrote that page


async def test_A05_a_session_may_do_what_its_token_may(guarded: Running) -> None:
    viewer = await sign_in(guarded, await made(guarded, "watcher", "viewer"))
    operator = await sign_in(guarded, await made(guarded, "ops", "operator", routes=["other"]))
    assert (await viewer.ask(*PUT)).json["code"] == "forbidden"
    assert (await operator.ask(*PUT)).json["code"] == "forbidden"
    admin = await sign_in(guarded)
    assert (await admin.ask(*PUT)).status == 200
    [newest, *_] = (await admin.ask("GET", "/api/v1/routes/chat/history")).json
    assert (newest["by"], newest["revision"]) == ("admin", 2)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x_graygate_csrf": None}, 403, "csrf"),
        ({"x_graygate_csrf": "guessed"}, 403, "csrf"),
        ({"origin": "http://evil.example"}, 403, "foreign_origin"),
        ({"origin": "null"}, 403, "foreign_origin"),
        ({"origin": None, "sec_fetch_site": None}, 403, "foreign_origin"),
        ({"origin": None, "sec_fetch_site": "none"}, 403, "foreign_origin"),
        ({"origin": None, "sec_fetch_site": "same-site"}, 403, "foreign_origin"),
        ({"sec_fetch_site": "cross-site"}, 403, "foreign_origin"),
        ({"host": "evil.example"}, 421, "wrong_host"),
        ({"content-type": "text/plain"}, 415, "unsupported_media_type"),
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ({"cookie": "graygate=guessed"}, 401, "unauthorized"),
        ({"cookie": None}, 401, "unauthorized"),
    ],
)
async def test_A05_a_write_that_is_not_the_consoles_own_is_refused_and_writes_nothing(
    guarded: Running, headers: dict[str, str | None], status: int, code: str
) -> None:
    browser = await sign_in(guarded)
    answer = await browser.ask(METHOD, PATH, CONTENT, **headers)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert guarded.store.snapshot.routes["chat"].revision == 1
    assert (await browser.ask(*PUT)).status == 200


async def test_A05_no_call_that_is_no_mere_look_takes_a_cookie_alone(guarded: Running) -> None:
    browser = await sign_in(guarded)
    for (method, _), call in CALLS.items():
        if method == "GET" or call.path in OPEN:
            continue
        answer = await browser.ask(method, call.path, call.content, x_graygate_csrf=None)
        assert (answer.status, answer.json["code"]) == (403, "csrf"), call


async def test_A02_a_session_ends_with_its_token_and_with_signing_out(guarded: Running) -> None:
    token = await made(guarded, "ops", "operator")
    browser, other = await sign_in(guarded, token), await sign_in(guarded, token)
    assert (await browser.ask("DELETE", "/api/v1/session")).json == {"ended": True}
    gone = await browser.ask("GET", "/api/v1/state")
    assert (gone.status, gone.json["detail"]) == (401, "The session is over; sign in again.")
    assert cookies(gone)["graygate"]["max-age"] == "0"
    assert (await other.ask("GET", "/api/v1/state")).status == 200
    done = await guarded.ask("DELETE", "/api/v1/tokens/ops", authorization=f"Bearer {TOKEN}")
    assert done.status == 200
    assert (await other.ask("GET", "/api/v1/state")).status == 401


async def test_a_session_ends_when_nobody_uses_it(store: Server) -> None:
    plant(store)
    async with running(
        redis_settings(store), token=TOKEN, session_idle_seconds=0.001, session_seconds=60.0
    ) as side:
        browser = await sign_in(side)
        await side.ask_until_with(401, "GET", "/api/v1/whoami", **browser.headers)


async def test_a_session_cannot_be_had_from_a_session_and_signing_in_anew_ends_the_old_one(
    guarded: Running,
) -> None:
    browser = await sign_in(guarded)
    answer = await browser.ask("POST", "/api/v1/session")
    assert (answer.status, answer.json["code"]) == (422, "refused")
    again = Browser(
        guarded, await browser.ask("POST", "/api/v1/session", authorization=f"Bearer {TOKEN}")
    )
    assert (await browser.ask("GET", "/api/v1/state")).status == 401
    assert (await again.ask("GET", "/api/v1/state")).status == 200


async def test_a_stream_of_ids_is_taken_from_a_session_too(guarded: Running) -> None:
    browser = await sign_in(guarded)
    path = "/api/v1/routes/chat/whitelist/v2/ids"
    assert (await browser.ask("POST", path, Text(b"carol\n"))).status == 200
    refused = await browser.ask("POST", path, Text(b"carol\n"), x_graygate_csrf=None)
    assert refused.json["code"] == "csrf"


async def test_A05_every_answer_tells_browsers_to_keep_their_hands_off(side: Running) -> None:
    for (method, _), call in CALLS.items():
        answer = await side.ask(method, call.path, call.content)
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff", call
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not [name for name in headers if name.lower().startswith("access-control-")]
        if call.path.startswith("/api/"):
            assert headers["Cache-Control"] == "no-store", call
    missing = await side.ask("GET", "/nowhere")
    assert "frame-ancestors 'none'" in missing.headers["Content-Security-Policy"]
