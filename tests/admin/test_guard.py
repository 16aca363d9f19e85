from __future__ import annotations

import asyncio
import json
import time

import pytest

from gateway.admin.brute import MOST_TRIES
from gateway.state.tokens import Role
from tests.admin.running import Answer, Running, plant, redis_settings, revision, running, until
from tests.admin.table import CALLS, OPEN, Call
from tests.servers import Server

TOKEN = "correct horse"
# What is told of the routes that the caller may see.
OWN = (
    *("/whoami", "/session", "/state", "/routes", "/numbers", "/events?follow=no"),
    *("/openapi.json", "/proposals", "/approve", "/refuse"),
)
ROLES = ("viewer", "operator", "approver", "admin")


async def made(side: Running, name: str, role: str, **more: object) -> str:
    """A new token, made by whoever has the one of the settings."""
    content = {"name": name, "role": role, **more}
    answer = await side.ask("POST", "/api/v1/tokens", content, authorization=f"Bearer {TOKEN}")
    assert answer.status == 200, answer
    return str(answer.json["token"])


async def called(side: Running, token: str, method: str, call: Call, path: str = "") -> Answer:
    return await side.ask(method, path or call.path, call.content, authorization=f"Bearer {token}")


async def test_A01_every_call_but_the_probes_wants_a_token(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.admin.guard.MOST_TRIES", 10_000)
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        for method, template in side.admin.calls:
            call = CALLS["GET" if method == "HEAD" else method, template]
            for headers in (
                {},
                {"authorization": "Bearer wrong"},
                {"authorization": "Bearer gray_00000000_wrong"},
                {"authorization": f"Basic {TOKEN}"},
                {"authorization": TOKEN},
                {"authorization": "Bearer "},
            ):
                answer = await side.ask(method, call.path, call.content, **headers)
                if call.path in OPEN:
                    assert answer.status in (200, 503)
                    continue
                assert answer.status == 401, (method, call, headers)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                if method != "HEAD":
                    assert answer.json["code"] == "unauthorized"
        assert side.store.snapshot.routes["chat"].revision == 1
        for (method, _), call in CALLS.items():
            if (method, call.path) == ("DELETE", "/api/v1/routes/chat"):
                store.execute("HSET", "gray:route:chat:release", "running", "0")
            answer = await called(side, TOKEN, method, call)
            assert answer.status == call.status or call.path == "/readyz", (call, answer)


async def test_A01_every_role_may_do_what_its_place_in_the_table_says_and_no_more(
    store: Server,
) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        tokens = {role: await made(side, f"a-{role}", role) for role in ROLES}
        for role, token in tokens.items():
            for (method, _), call in CALLS.items():
                if call.path in OPEN:
                    continue
                is_allowed = Role[role.upper()] >= call.least
                if is_allowed and call.least > Role.VIEWER:
                    # Far enough to be judged by what it says, and no further.
                    answer = await side.ask(
                        method, call.path.replace("chat", "ghost").replace("/ci", "/ghost"),
                        b"{" if call.content is not None else None,
                        authorization=f"Bearer {token}",
                    )  # fmt: skip
                    allowed = (200, 404) if method == "GET" else (400, 404, 415)
                    assert answer.status in allowed, (role, call, answer)
                elif is_allowed:
                    answer = await called(side, token, method, call)
                    # Nobody got as far as starting a release, so there is nothing to report.
                    wanted = 404 if call.path.endswith("/release/report") else call.status
                    assert answer.status == wanted, (role, call)
                else:
                    answer = await called(side, token, method, call)
                    assert (answer.status, answer.json["code"]) == (403, "forbidden"), (role, call)
                    detail = f"This takes the role {call.least}; a-{role} is {role}."
                    assert answer.json["detail"] == detail
        assert side.store.snapshot.routes["chat"].revision == 1


async def test_A01_a_token_for_some_routes_reaches_no_other(store: Server) -> None:
    plant(store)
    store.cli("HSET gray:route:rank:versions v1 http://10.0.0.1:1 v2 http://10.0.0.2:1")
    store.cli("HSET gray:route:rank stable v1 path /rank")
    store.cli("SADD gray:routes rank")
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        await revision(side, "rank")
        token = await made(side, "chatters", "admin", routes=["ch?t", "other*"])
        for (method, template), call in CALLS.items():
            if call.path in OPEN or (method == "DELETE" and "routes" in template):
                continue
            own = await called(side, token, method, call)
            if "{route}" in template:
                assert own.status == 200, call
                foreign = await called(side, token, method, call, call.path.replace("chat", "rank"))
                assert (foreign.status, foreign.json["code"]) == (403, "forbidden"), call
            elif call.path.endswith(OWN):
                assert own.status == call.status
                assert b"rank" not in own.body
            else:
                assert own.status == 403, call
        ghost = await side.ask("GET", "/api/v1/routes/other", authorization=f"Bearer {token}")
        assert "there are: chat." in ghost.json["detail"]
        assert side.store.snapshot.routes["rank"].revision == 1


async def test_A02_two_tokens_of_a_name_hold_until_the_old_one_is_taken_back(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        old, new = await made(side, "ci", "operator"), await made(side, "ci", "operator")
        put = CALLS["PUT", "/api/v1/routes/{route}/weights"]
        for token in (old, new):
            assert (await called(side, token, "PUT", put)).status == 200
        [(_, newest), *_] = store.cli("XREVRANGE gray:route:chat:history + -")
        assert newest["by"] == "ci"
        done = await side.ask(
            "DELETE", f"/api/v1/tokens/{old.split('_')[1]}", authorization=f"Bearer {TOKEN}"
        )
        assert done.json == {"revoked": [old.split("_")[1]]}
        assert (await called(side, old, "PUT", put)).status == 401
        assert (await called(side, new, "PUT", put)).status == 200


@pytest.mark.parametrize("tracking", [True, False])
async def test_A02_a_token_is_taken_back_at_every_gateway_within_five_seconds(
    store: Server, tracking: bool
) -> None:
    plant(store)
    settings = redis_settings(store)
    other = type(settings)(url=store.url, tracking=tracking, poll_seconds=3600.0)
    async with (
        running(settings, token=TOKEN) as side,
        running(other, token=TOKEN) as far,
    ):
        await revision(side)
        token = await made(side, "ci", "viewer")
        whoami = {"authorization": f"Bearer {token}"}

        async def seen(status: int) -> float:
            began = time.monotonic()
            while (await far.ask("GET", "/api/v1/whoami", **whoami)).status != status:
                assert time.monotonic() - began < 5
                await asyncio.sleep(0.02)
            return time.monotonic() - began

        await seen(200)
        await side.ask("DELETE", "/api/v1/tokens/ci", authorization=f"Bearer {TOKEN}")
        await seen(401)


async def test_A02_the_store_holds_no_token_and_an_ended_one_is_good_for_nothing(
    store: Server,
) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        token = await made(side, "ci", "viewer", expires_seconds=3600)
        entries = store.cli("HGETALL gray:tokens")
        assert token.split("_", 2)[2] not in str(entries)
        [(token_id, text)] = entries.items()
        entry = json.loads(text)
        whoami = {"authorization": f"Bearer {token}"}
        assert (await side.ask("GET", "/api/v1/whoami", **whoami)).json == {
            "name": "ci", "role": "viewer", "routes": ["*"], "token": token_id,
            "expires": entry["expires"], "proven": True,
        }  # fmt: skip
        entry["expires"] = int(time.time())
        store.execute("HSET", "gray:tokens", token_id, json.dumps(entry))
        await side.ask_until_with(401, "GET", "/api/v1/whoami", **whoami)


async def test_A02_known_tokens_stay_while_the_store_is_away_and_none_is_believed_unseen(
    fresh_valkey: Server,
) -> None:
    plant(fresh_valkey)
    settings = redis_settings(fresh_valkey, timeout_seconds=0.3)
    async with running(settings, token=TOKEN) as side:
        await revision(side)
        token = await made(side, "ci", "viewer")
        fresh_valkey.kill()
        await until(lambda: not side.store.status.is_connected, "the store is missed")
        for given, status in ((token, 200), (token + "x", 401), (TOKEN, 200)):
            answer = await side.ask("GET", "/api/v1/whoami", authorization=f"Bearer {given}")
            assert answer.status == status
        async with running(settings, token=TOKEN) as fresh:
            for given, status in ((token, 401), (TOKEN, 200)):
                answer = await fresh.ask("GET", "/api/v1/whoami", authorization=f"Bearer {given}")
                assert answer.status == status


@pytest.mark.parametrize("command", ["DEL gray:tokens", "FLUSHALL", "SET gray:tokens open"])
async def test_A02_what_happens_to_the_tokens_never_opens_the_port(
    store: Server, command: str
) -> None:
    async with running(redis_settings(store), token=TOKEN) as side:
        await until(lambda: side.store.status.is_connected, "the store is followed")
        token = await made(side, "ci", "viewer")
        store.cli(command)
        await side.ask_until_with(401, "GET", "/api/v1/whoami", authorization=f"Bearer {token}")
        assert (await side.ask("GET", "/api/v1/whoami")).status == 401
        good = await side.ask("GET", "/api/v1/whoami", authorization=f"Bearer {TOKEN}")
        assert (good.status, good.json["name"]) == (200, "admin")


async def test_A04_a_hundred_bad_tokens_are_enough_and_a_good_one_still_counts(
    store: Server,
) -> None:
    async with running(redis_settings(store), token=TOKEN) as side:
        await until(lambda: side.store.status.is_connected, "the store is followed")
        for number in range(MOST_TRIES):
            answer = await side.ask("GET", "/api/v1/state", authorization=f"Bearer x{number}")
            assert answer.status == 401
        for _ in range(3):
            answer = await side.ask("GET", "/api/v1/state", authorization="Bearer no")
            assert (answer.status, answer.json["code"]) == (429, "too_many_tries")
            assert answer.headers["Retry-After"] == "300"
        good = await side.ask("GET", "/api/v1/state", authorization=f"Bearer {TOKEN}")
        assert good.status == 200
        await until(lambda: store.cli("XLEN gray:audit") == 1, "it is in the audit, once")
        [(_, entry)] = store.cli("XRANGE gray:audit - +")
        assert (entry["code"], entry["from"], entry["status"]) == (
            "too_many_tries",
            "127.0.0.1",
            "429",
        )
        assert "Bearer" not in str(entry)


async def test_A21_nothing_that_is_told_holds_a_token_or_its_hash(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        token = await made(side, "ci", "viewer")
        store.execute("HSET", "gray:tokens", "0badbad0", f'{{"hash": "{token}"}}')
        await until(lambda: bool(side.store.tokens.refused), "the garbage is seen")
        [entry] = [text for key, text in store.cli("HGETALL gray:tokens").items() if key in token]
        for path in ("/healthz", "/readyz", "/readyz?verbose", "/metrics", "/api/v1/state",
                     "/api/v1/tokens", "/api/v1/audit", "/api/v1/whoami"):  # fmt: skip
            answer = await side.ask("GET", path, authorization=f"Bearer {TOKEN}")
            for secret in (token, token.split("_", 2)[2], json.loads(entry)["hash"], TOKEN):
                assert secret.encode() not in answer.body, path
        assert b'graygate_config_rejected_total{reason="bad_token",route=""} 1' in (
            (await side.ask("GET", "/metrics", authorization=f"Bearer {TOKEN}")).body
        ).replace(b'route="",reason="bad_token"', b'reason="bad_token",route=""')


async def test_A07_a_refused_write_is_told_with_who_and_why(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        viewer, operator = await made(side, "eve", "viewer"), await made(side, "bob", "operator")
        path = "/api/v1/routes/chat/weights"
        for token, content, headers in (
            (viewer, {"weights": {"v2": 1}}, {}),
            (operator, {"weights": {"v9": 1}}, {}),
            (operator, {"weights": {"v2": 1}}, {"if_match": '"7"'}),
            ("bad", {"weights": {"v2": 1}}, {}),
        ):
            await side.ask("PUT", path, content, authorization=f"Bearer {token}", **headers)
        await side.ask("GET", "/api/v1/tokens", authorization=f"Bearer {viewer}")  # no write
        await until(lambda: store.cli("XLEN gray:audit") == 6, "all are in the audit")
        entries = [entry for _, entry in store.cli("XRANGE gray:audit - +")]
        assert [(e["op"], e["by"], e["status"], e["code"]) for e in entries] == [
            ("token_create", "admin", "", ""),
            ("token_create", "admin", "", ""),
            ("refused", "eve", "403", "forbidden"),
            ("refused", "bob", "422", "refused"),
            ("refused", "bob", "409", "revision_conflict"),
            ("refused", "", "401", "unauthorized"),
        ]
        assert entries[2]["what"] == f"PUT {path}"
        assert entries[2]["why"] == "This takes the role operator; eve is viewer."
        assert entries[2]["from"] == "127.0.0.1"
        assert int(entries[2]["at"]) > 0


async def test_A07_each_write_is_exactly_one_entry(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        before = store.cli("XLEN gray:route:chat:history")
        answer = await called(side, TOKEN, "PUT", CALLS["PUT", "/api/v1/routes/{route}/weights"])
        assert answer.status == 200
        assert store.cli("XLEN gray:route:chat:history") == before + 1
        assert store.cli("EXISTS gray:audit") == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "10.0.0.1", "[::", "127.1.evil"]
)
async def test_A05_without_a_token_every_call_wants_a_local_name(side: Running, host: str) -> None:
    for (method, _), call in CALLS.items():
        answer = await side.ask(method, call.path, call.content, host=host)
        assert answer.status == 421, call
        assert answer.json["code"] == "wrong_host"


async def test_A05_with_a_token_the_names_of_the_settings_and_addresses_are_ours(
    store: Server,
) -> None:
    hosts = {
        "evil.example": 421, "gray.example.evil": 421, "": 421, "[::": 421, "GRAY.example:1": 401,
        "10.0.0.1:8081": 401, "[fe80::1]": 401, "localhost": 401,
    }  # fmt: skip
    async with running(redis_settings(store), token=TOKEN, hosts=("Gray.Example",)) as side:
        for host, status in hosts.items():
            assert (await side.ask("GET", "/api/v1/state", host=host)).status == status, host
    async with running(redis_settings(store), token=TOKEN, hosts=("*",)) as side:
        assert (await side.ask("GET", "/api/v1/state", host="any.example")).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    ],
)
async def test_A05_every_call_refuses_pages_of_other_origins(
    side: Running, headers: dict[str, str]
) -> None:
    for (method, _), call in CALLS.items():
        answer = await side.ask(method, call.path, call.content, **headers)
        assert answer.status == 403, call
        assert answer.json["code"] == "foreign_origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        preflight = await side.ask("OPTIONS", call.path, access_control_request_method=method)
        assert preflight.status == 405
    own = await side.ask("GET", "/api/v1/state", origin=side.url)
    assert own.status == 200


@pytest.mark.parametrize(
    "header", [b"Authorization: Bearer \xff\xfe", b"Origin: http://\xff[", b"If-Match: \xff"]
)
async def test_a_header_of_strange_bytes_is_refused_as_any_other(
    store: Server, header: bytes
) -> None:
    async with running(redis_settings(store), token=TOKEN) as side:
        request = b"GET /api/v1/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header
        answer = await side.raw(request + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
