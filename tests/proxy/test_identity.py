"""Who asks, by which way the request came, and what of that the model is told."""

from __future__ import annotations

import re
import time

import pytest

from gateway.routing.override import sign_override
from tests.proxy.conftest import Start
from tests.proxy.message import Answer
from tests.proxy.side import KEY, Feed, Side, whole

STRANGERS = {"routing": {"trusted_proxies": ("192.0.2.0/24",)}}
CHAIN = {"routing": {"trusted_proxies": ("127.0.0.0/8", "10.0.0.0/8")}}


async def asked(side: Side, feed: Feed, *lines: bytes) -> Answer:
    head = b"\r\n".join([b"GET / HTTP/1.1", b"Host: front.example", *lines, b"", b""])
    answer = await side.once(head, feed=feed)
    assert answer.status == 200, answer
    return answer


# nobody can pretend to be somebody else.


ALICES = [
    [b"X-User-Id: alice"],
    [b"x-user-id: alice"],
    [b"X_User_Id: alice"],
    [b"X-User_Id: alice"],
    [b"X-User-Id: alice", b"X-User-Id: alice"],
    [b"X-User-Id:alice\t"],
]


@pytest.mark.parametrize("lines", ALICES)
async def test_A10_a_stranger_is_not_believed(start: Start, feed: Feed, lines: list[bytes]) -> None:
    side = await start(**STRANGERS)
    side.use(side.spec(), v2=frozenset({b"alice"}))
    answer = await asked(side, feed, *lines)
    assert answer.one("x-graygate-version") == "v1"
    assert b"alice" not in side.model.received


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ([b"X-User-Id: alice"], "v2"),
        ([b"x-user-id:alice \t"], "v2"),
        ([b"X_User_Id: alice"], "v1"),
        ([b"X-User-Id: alice", b"x-user-id: alice"], "v1"),
        ([b"X-User-Id: alice", b"X-User-Id: bob"], "v1"),
        ([b"X-User-Id: bob", b"X_User_Id: alice"], "v1"),
        ([b"X-User-Id: alice", b"X_User_Id: bob"], "v2"),
        ([b"X-User-Id: \x85alice\xa0"], "v1"),
        ([b"X-User-Id: alice\x85"], "v1"),
    ],
)
async def test_A10_who_is_trusted_names_one_user_in_one_spelling(
    side: Side, feed: Feed, lines: list[bytes], version: str
) -> None:
    side.use(side.spec(), v2=frozenset({b"alice"}))
    answer = await asked(side, feed, *lines)
    assert answer.one("x-graygate-version") == version
    assert "x_user_id" not in side.model.last.names
    ids = side.model.last.all("x-user-id")
    assert len(ids) < 2
    assert ("alice" in ids) == (version == "v2"), "the model sees whom the decision saw"


async def test_A10_the_bytes_of_an_id_are_not_trimmed_away(side: Side) -> None:
    side.use(side.spec(), v2=frozenset({b"\x85alice\xa0"}))
    answer = await side.once(
        b"GET / HTTP/1.1\r\nHost: a\r\nX-User-Id: \x85alice\xa0\r\nConnection: close\r\n\r\n"
    )
    assert answer.one("x-graygate-version") == "v2"
    assert side.model.last.one("x-user-id") == "\x85alice\xa0"


async def test_A10_a_route_that_reads_no_header_passes_it_on(start: Start) -> None:
    side = await start(**STRANGERS)
    side.use(side.spec(unit=("ip",)))
    await side.ask(X_User_Id="alice")
    assert side.model.last.one("x-user-id") == "alice"


async def test_A10_what_a_route_reads_changes_with_the_route(start: Start) -> None:
    side = await start(**STRANGERS)
    side.use(side.spec(unit=("ip",)))
    client = await side.dial()
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: alice\r\n\r\n"
    await client.ask(request)
    assert side.model.last.one("x-tenant") == "alice"
    side.use(side.spec(unit=("header:x-tenant",)))
    await client.ask(request)
    assert side.model.last.one("x-tenant") is None
    side.use(side.spec(unit=("ip",)))
    await client.ask(request)
    assert side.model.last.one("x-tenant") == "alice"


async def test_A10_a_stranger_names_no_user_in_the_body(start: Start) -> None:
    side = await start(**STRANGERS)
    side.use(side.spec(unit=("body:user",)), v2=frozenset({b"alice"}))
    answer = await side.ask(method="POST", body=b'{"user": "alice"}')
    assert answer.one("x-graygate-version") == "v1"


# where the request comes from.


async def test_A11_a_stranger_cannot_invent_earlier_hops(start: Start, feed: Feed) -> None:
    side = await start(**STRANGERS)
    side.use(side.spec(unit=("ip",)), v2=frozenset({b"127.0.0.1"}))
    answer = await asked(
        side,
        feed,
        b"X-Forwarded-For: 203.0.113.9",
        b"X_Forwarded_For: 203.0.113.9",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil",
        b"Forwarded: for=203.0.113.9;host=evil",
        b"X-Real-IP: 203.0.113.9",
        b"X_Real_IP: 203.0.113.9",
    )
    assert answer.one("x-graygate-reason") == "whitelist"
    got = side.model.last
    assert got.all("x-forwarded-for") == ["127.0.0.1"]
    assert got.all("x-forwarded-proto") == ["http"]
    assert got.all("x-forwarded-host") == ["front.example"]
    assert b"203.0.113.9" not in got.head and b"evil" not in got.head


async def test_A11_what_a_trusted_proxy_says_is_continued(side: Side, feed: Feed) -> None:
    await asked(
        side,
        feed,
        b"X-Forwarded-For: 198.51.100.1",
        b"X-Forwarded-For: 203.0.113.9",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: public.example",
        b"Forwarded: for=203.0.113.9",
        b"X-Real-IP: 203.0.113.9",
        b"X_Forwarded_For: 6.6.6.6",
    )
    got = side.model.last
    hops = [hop.strip() for hop in ",".join(got.all("x-forwarded-for")).split(",")]
    assert hops == ["198.51.100.1", "203.0.113.9", "127.0.0.1"]
    assert got.all("x-forwarded-proto") == ["https"]
    assert got.all("x-forwarded-host") == ["public.example"]
    assert b"6.6.6.6" not in got.head


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.2, 10.0.0.1", "203.0.113.9"),
        ("10.0.0.3", "10.0.0.3"),
        ("203.0.113.9, garbage, 10.0.0.1", "10.0.0.1"),
        ("", "127.0.0.1"),
        ("203.0.113.9," + "10.0.0.1," * 800 + "10.0.0.2", "10.0.0.1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.9:1234", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
    ],
)
async def test_A11_the_client_is_the_nearest_hop_that_is_no_trusted_proxy(
    start: Start, chain: str, client: str
) -> None:
    side = await start(**CHAIN)
    side.use(side.spec(unit=("ip",)), v2=frozenset({client.encode()}))
    answer = await side.ask(X_Forwarded_For=chain)
    assert answer.one("x-graygate-reason") == "whitelist"


async def test_A11_a_chain_without_end_is_bounded(side: Side) -> None:
    chain = ", ".join(f"10.{n >> 8}.{n & 255}.1" for n in range(4000))
    await side.ask(X_Forwarded_For=chain)
    passed = side.model.last.one("x-forwarded-for") or ""
    assert len(passed) <= 8192 and passed.endswith("10.15.159.1, 127.0.0.1")


@pytest.mark.parametrize("proto", ["javascript", "https, http", "x" * 5000])
async def test_A11_garbage_is_not_passed_on_as_a_scheme(side: Side, proto: str) -> None:
    await side.ask(X_Forwarded_Proto=proto)
    assert side.model.last.one("x-forwarded-proto") in ("http", "https")


async def test_A11_a_client_over_ipv6_has_its_address(start: Start) -> None:
    side = await start("::1")
    await side.ask()
    assert side.model.last.one("x-forwarded-for") == "::1"


# our own names.


@pytest.mark.parametrize(
    "name", ["X-Graygate-Version", "X_Graygate_Version", "x-graygate_x", "X-GRAYGATE-Debug"]
)
async def test_A12_names_of_ours_pass_in_no_spelling(side: Side, feed: Feed, name: str) -> None:
    await asked(side, feed, name.encode() + b": v9")
    got = [
        (one, value)
        for one, value in side.model.last.fields
        if one.lower().replace("_", "-").startswith("x-graygate-")
    ]
    assert got == [("X-Graygate-Version", "v1")]


async def test_A12_names_of_ours_are_not_the_models_to_say(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Graygate-Version: forged\r\n"
        b"X-Graygate-Reason: forged\r\nX-Graygate-More: forged\r\nX-Request-Id: forged\r\n\r\n"
    )
    answer = await side.ask(X_Request_Id="r1")
    assert (answer.one("x-graygate-version"), answer.one("x-request-id")) == ("v1", "r1")
    assert b"forged" not in answer.head


async def test_A12_a_signed_override_is_read_and_not_passed_on(side: Side, feed: Feed) -> None:
    signed = sign_override(KEY, "chat", "v2", int(time.time()) + 60).encode()
    answer = await asked(side, feed, b"X-Graygate-Override: " + signed)
    assert answer.one("x-graygate-version") == "v2"
    assert answer.one("x-graygate-reason") == "override"
    assert b"Override" not in side.model.last.head


@pytest.mark.parametrize("what", ["forged", "expired", "twice", "respelled"])
async def test_A12_another_override_is_none(side: Side, what: str) -> None:
    expiry = int(time.time()) + (-60 if what == "expired" else 60)
    key = b"another key" if what == "forged" else KEY
    line = b"X-Graygate-Override: " + sign_override(key, "chat", "v2", expiry).encode()
    lines = {
        "twice": [line, line],
        "respelled": [line.replace(b"X-Graygate-", b"X_Graygate_")],
    }.get(what, [line])
    answer = await asked(side, whole, *lines)
    assert answer.one("x-graygate-version") == "v1"
    assert b"verride" not in side.model.last.head


# P-19: Via and loops.


async def test_P19_via_is_added_behind_what_was_there(side: Side, feed: Feed) -> None:
    await asked(side, feed, b"Via: 1.1 front, 1.0 fred", b"via: 2 cdn (x)")
    hops = [hop.strip() for hop in ",".join(side.model.last.all("via")).split(",")]
    assert hops == ["1.1 front", "1.0 fred", "2 cdn (x)", "1.1 graygate"]


async def test_P19_via_names_the_version_that_was_received(side: Side) -> None:
    await side.once(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert side.model.last.all("via") == ["1.0 graygate"]


async def test_P19_a_request_that_goes_in_circles_is_stopped(side: Side, feed: Feed) -> None:
    few = b"Via: " + b"1.1 graygate, " * 7 + b"1.1 other"
    await asked(side, feed, few)
    many = b"GET / HTTP/1.1\r\nHost: a\r\nVia: " + b"1.1 graygate, " * 8 + b"1.1 x\r\n\r\n"
    await side.refuses(many, 508, "loop_detected", feed)
    lines = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Via: 1.1 graygate\r\n" * 8 + b"\r\n"
    await side.refuses(lines, 508, "loop_detected", feed)


async def test_P19_a_gateway_that_leads_to_itself_stops(side: Side) -> None:
    side.use_urls(f"http://127.0.0.1:{side.port}")
    answer = await side.ask()
    assert (answer.status, answer.code) == (508, "loop_detected")


# Ids of requests, and traces (C4).


@pytest.mark.parametrize("good", ["abc-1", "A" * 128, "req_01:x/y+z=@~.", "1"])
async def test_C4_a_good_request_id_is_kept(side: Side, feed: Feed, good: str) -> None:
    answer = await asked(side, feed, b"X-Request-ID: " + good.encode())
    assert answer.one("x-request-id") == good == side.model.last.one("x-request-id")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"X-Request-Id:"],
        [b"X-Request-Id: " + b"x" * 129],
        [b"X-Request-Id: a b"],
        [b'X-Request-Id: a"b'],
        [b"X-Request-Id: a,b"],
        [b"X-Request-Id: \xe9"],
        [b"X_Request_Id: abc"],
    ],
)
async def test_C4_a_bad_request_id_is_replaced(side: Side, feed: Feed, lines: list[bytes]) -> None:
    answer = await asked(side, feed, *lines)
    made = answer.one("x-request-id") or ""
    if lines == [b"X_Request_Id: abc"]:
        assert "x_request_id" not in side.model.last.names
    else:
        assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert side.model.last.all("x-request-id") == [made]


async def test_C4_each_request_has_an_id_of_its_own(side: Side) -> None:
    client = await side.dial()
    ids = {(await client.ask()).one("x-request-id") for _ in range(20)}
    assert len(ids) == 20


TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize("name", [b"traceparent", b"Traceparent"])
@pytest.mark.parametrize("flags", ["00", "01", "03"])
async def test_C4_a_valid_trace_is_continued_under_a_new_parent(
    side: Side, feed: Feed, name: bytes, flags: str
) -> None:
    line = name + f": 00-{TRACE}-{PARENT}-{flags}".encode()
    await asked(side, feed, line, b"tracestate: a=1,b=2", b"tracestate: c=3", b"baggage: user=x")
    found = re.fullmatch(
        rf"00-{TRACE}-([0-9a-f]{{16}})-{flags}", side.model.last.one("traceparent") or ""
    )
    assert found is not None and found[1] not in (PARENT, "0" * 16)
    assert side.model.last.all("tracestate") == ["a=1,b=2", "c=3"]
    assert side.model.last.all("baggage") == ["user=x"]


@pytest.mark.parametrize(
    "value",
    [
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        "garbage",
        "",
    ],
)
async def test_C4_an_invalid_trace_is_dropped_with_its_state(
    side: Side, feed: Feed, value: str
) -> None:
    await asked(side, feed, b"traceparent: " + value.encode(), b"tracestate: a=1", b"baggage: b=1")
    assert side.model.last.names.isdisjoint({"traceparent", "tracestate"})
    assert side.model.last.all("baggage") == ["b=1"]


async def test_C4_two_traces_are_none(side: Side, feed: Feed) -> None:
    line = f"traceparent: 00-{TRACE}-{PARENT}-01".encode()
    await asked(side, feed, line, line, b"tracestate: a=1")
    assert side.model.last.names.isdisjoint({"traceparent", "tracestate"})


async def test_C4_a_later_version_is_continued_as_ours(side: Side, feed: Feed) -> None:
    await asked(side, feed, f"traceparent: 01-{TRACE}-{PARENT}-01-future".encode())
    assert (side.model.last.one("traceparent") or "").startswith(f"00-{TRACE}-")
    assert f"-{PARENT}-" not in (side.model.last.one("traceparent") or "")


async def test_credentials_pass_in_place(side: Side, feed: Feed) -> None:
    await asked(side, feed, b"Authorization: Bearer t", b"api-key: k", b"X-Api-Key: k2")
    got = side.model.last
    assert (got.one("authorization"), got.one("api-key"), got.one("x-api-key")) == (
        "Bearer t",
        "k",
        "k2",
    )
