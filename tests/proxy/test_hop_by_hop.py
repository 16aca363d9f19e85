"""What belongs to one hop stays there; everything else passes as it came."""

from __future__ import annotations

import pytest

from tests.proxy.message import Answer, Request
from tests.proxy.side import Feed, Side, whole

HOP_BY_HOP = [
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"TE: gzip",
    b"Trailer: X-T",
    b"Upgrade: h2c",
    b"Proxy-Authorization: Basic eDp5",
    b"Proxy-Authenticate: Basic",
]


async def passed(side: Side, feed: Feed, *lines: bytes) -> Request:
    """What the model gets of a request with these lines."""
    head = b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines, b"", b""])
    answer = await side.once(head, feed=feed)
    assert answer.status == 200, answer
    return side.model.requests[-1]


async def answered(side: Side, *lines: bytes) -> Answer:
    """What the client gets of an answer with these lines."""
    side.model.answer = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: 0", b"", b""])
    answer = await side.ask()
    assert answer.status == 200, answer
    return answer


def options(message: Request | Answer) -> set[str]:
    """What Connection says, in lower case."""
    found = {one.strip().lower() for one in ",".join(message.all("connection")).split(",")}
    return found - {""}


# P-01: hop by hop.


@pytest.mark.parametrize("line", HOP_BY_HOP)
async def test_P01_a_field_of_one_hop_does_not_reach_the_model(
    side: Side, feed: Feed, line: bytes
) -> None:
    name = line.partition(b":")[0]
    got = await passed(side, feed, line, b"Connection: " + name, b"X-Bar: 2")
    assert name.decode().lower() not in got.names
    assert got.one("x-bar") == "2"
    assert options(got) <= {"keep-alive"}


@pytest.mark.parametrize("line", HOP_BY_HOP)
async def test_P01_a_field_of_one_hop_goes_even_when_connection_does_not_name_it(
    side: Side, feed: Feed, line: bytes
) -> None:
    got = await passed(side, feed, line)
    assert line.partition(b":")[0].decode().lower() not in got.names


@pytest.mark.parametrize("line", [*HOP_BY_HOP[:4], HOP_BY_HOP[6]])
async def test_P01_a_field_of_one_hop_does_not_reach_the_client(side: Side, line: bytes) -> None:
    got = await answered(side, line, b"X-Bar: 2")
    assert line.partition(b":")[0].decode().lower() not in got.names
    assert got.one("x-bar") == "2"


@pytest.mark.parametrize(
    "name", [b"Keep_Alive", b"Transfer_Encoding", b"Proxy_Connection", b"Proxy_Authorization"]
)
async def test_P01_a_field_of_one_hop_passes_in_no_other_spelling(
    side: Side, feed: Feed, name: bytes
) -> None:
    got = await passed(side, feed, name + b": chunked")
    assert name.decode().lower() not in got.names


async def test_P01_a_length_in_another_spelling_does_not_pass(side: Side, feed: Feed) -> None:
    got = await passed(side, feed, b"Content_Length: 5")
    assert "content_length" not in got.names


async def test_P01_that_the_model_closes_is_not_told_to_the_client(side: Side) -> None:
    side.model.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    client = await side.dial()
    for _ in range(2):
        assert not (await client.ask()).closes
    assert len(side.model.links) == 2


async def test_P01_that_the_client_closes_is_not_told_to_the_model(side: Side) -> None:
    for _ in range(2):
        await side.once(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert "close" not in options(side.model.last)
    assert len(side.model.links) == 1


# P-02: what Connection names.


@pytest.mark.parametrize(
    "connection",
    [
        [b"Connection: close, X-Foo"],
        [b"Connection: x-foo"],
        [b"Connection: ,, X-FOO ,"],
        [b"Connection: keep-alive", b"Connection:X-Foo\t"],
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
async def test_P02_a_nominated_field_does_not_reach_the_model(
    side: Side, feed: Feed, connection: list[bytes], is_first: bool
) -> None:
    fields = [b"X-Foo: 1", b"x-foo: 2"]
    lines = [*connection, *fields] if is_first else [*fields, *connection]
    got = await passed(side, feed, *lines, b"X-Foobar: 3")
    assert "x-foo" not in got.names
    assert got.one("x-foobar") == "3"
    assert "x-foo" not in options(got)


async def test_P02_a_field_that_the_model_nominates_does_not_reach_the_client(side: Side) -> None:
    got = await answered(side, b"X-Hop: 1", b"Connection: keep-alive, X-Hop", b"X-Hop: 2")
    assert "x-hop" not in got.names and "x-hop" not in options(got)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer t"),
        ("Cookie", "a=1"),
        ("X-User-Id", "alice"),
    ],
)
async def test_P02_who_the_user_is_cannot_be_nominated_away(
    side: Side, feed: Feed, name: str, value: str
) -> None:
    line = f"{name}: {value}".encode()
    got = await passed(side, feed, b"Connection: " + name.encode(), line)
    assert got.one(name) == value


async def test_P02_the_unit_decides_although_it_is_nominated(side: Side) -> None:
    side.use(side.spec(), v2=frozenset({b"alice"}))
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x-user-id\r\nX-User-Id: alice\r\n\r\n"
    assert (await side.once(head)).one("x-graygate-version") == "v2"


async def test_P02_host_and_length_cannot_be_nominated_away(side: Side, feed: Feed) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Host, Content-Length\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    assert (await side.once(head, feed=feed)).status == 200
    assert side.model.requests[-1].body == b"hello"
    assert side.model.last.one("x-forwarded-host") == "a"


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Via", "X-Request-Id", "X-Graygate-Version"])
async def test_P02_what_the_gateway_says_cannot_be_nominated_away(side: Side, name: str) -> None:
    await side.once(f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, {name}\r\n\r\n".encode())
    assert len(side.model.last.all(name)) == 1


# P-03: TE.


@pytest.mark.parametrize("te", [b"trailers", b"gzip, trailers", b"Trailers;q=0.5, deflate"])
async def test_P03_of_te_nothing_but_trailers_is_passed_on(
    side: Side, feed: Feed, te: bytes
) -> None:
    got = await passed(side, feed, b"TE: " + te, b"Connection: TE")
    assert got.all("te") == (["trailers"] if te == b"trailers" else got.all("te"))
    assert got.all("te") in ([], ["trailers"])
    assert ("te" in options(got)) == ("te" in got.names)


# P-10, P-11, P-12: values, order, names.


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"X-A:  a \t", "a"),
        (b"X-A:a", "a"),
        (b"X-A:\ta b\t c ", "a b\t c"),
        (b"X-A:", ""),
        (b"X-A:   ", ""),
        (b"X-A: \x85admin\xa0", "\x85admin\xa0"),
        (b"X-A: caf\xe9 \xff\xfe", "café ÿþ"),
        (b'X-A: a: b\\"c"', 'a: b\\"c"'),
    ],
)
async def test_P10_P12_a_value_arrives_without_the_space_around_it(
    side: Side, feed: Feed, line: bytes, value: str
) -> None:
    # Twice: what was seen before takes another way through the gateway.
    for _ in range(2):
        assert (await passed(side, feed, line)).one("x-a") == value


@pytest.mark.parametrize(
    ("line", "value"),
    [(b"X-A: \t a \t", "a"), (b"X-A:", ""), (b"X-A: \x85\xe9", "\x85\xe9"), (b"X-A:a", "a")],
)
async def test_P10_P12_so_does_a_value_of_an_answer(side: Side, line: bytes, value: str) -> None:
    for _ in range(2):
        assert (await answered(side, line)).one("x-a") == value


async def test_P11_order_repeats_and_spelling_of_names_are_kept(side: Side, feed: Feed) -> None:
    lines = (b"X-b: 1", b"X-CaSe: u", b"x-B: 2", b"accept: */*", b"X-b: 1", b"X-c: \xe9")
    got = await passed(side, feed, *lines)
    ours = {line.partition(b":")[0].decode() for line in lines}
    assert [(name, value) for name, value in got.fields if name in ours] == [
        (name.decode(), value.strip().decode("latin-1"))
        for name, _, value in (line.partition(b":") for line in lines)
    ]


async def test_P11_cookies_are_neither_merged_nor_moved(side: Side) -> None:
    got = await answered(side, b"Set-Cookie: a=1", b"X-Y: 1", b"set-cookie: b=2", b"Set-Cookie: a=")
    assert got.all("set-cookie") == ["a=1", "b=2", "a="]
    names = [name for name, _ in got.fields]
    assert names.index("Set-Cookie") < names.index("X-Y") < names.index("set-cookie")
    request = await passed(side, whole, b"Cookie: a=1", b"cookie: b=2")
    assert request.all("cookie") == ["a=1", "b=2"]


async def test_P12_names_of_all_lawful_characters_pass(side: Side, feed: Feed) -> None:
    name = b"!#$%&'*+.^`|~09azAZ-_x"
    got = await passed(side, feed, name + b": 1")
    assert got.one(name.decode()) == "1"


async def test_P12_what_the_model_says_of_itself_is_kept(side: Side) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    got = await answered(side, b"Server: model/1", b"Date: " + date.encode(), b"Via: 1.1 behind")
    assert (got.one("server"), got.one("date")) == ("model/1", date)
    assert "1.1 behind" in got.all("via")


async def test_nothing_is_added_that_the_client_did_not_say(side: Side) -> None:
    await side.ask()
    added = {"accept", "accept-encoding", "user-agent", "content-type", "content-length", "te"}
    assert added.isdisjoint(side.model.last.names)


async def test_a_redirect_is_the_clients_business(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 302 Found\r\nLocation: http://other.example/\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await side.ask()
    assert (answer.status, answer.one("location")) == (302, "http://other.example/")
