"""The scripts, asked directly: all of a write or nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.state.keys import Keys, Part
from gateway.state.raw import RouteState
from gateway.state.script import LEASE, WRITE
from tests.servers import Server

KEYS = Keys()
NAMES = [
    KEYS.routes,
    KEYS.route("chat"),
    *(KEYS.part("chat", part) for part in (Part.VERSIONS, Part.WEIGHTS, Part.RULES, Part.HISTORY)),
    KEYS.leader,
]
HISTORY, LEADER = NAMES[5:]
WHITELIST = KEYS.whitelist("chat", "v2")
NOTHING = RouteState().fingerprint()
PUT = (2, "HSET", 2, "stable", "v1")
FAR = 9_999_999_999_999


def write(
    server: Server,
    *operations: str | int,
    revision: int = 0,
    fingerprint: str = NOTHING,
    term: str = "",
    lists: tuple[str, ...] = (),
) -> Any:
    with server.client(decode_responses=False) as client:
        return client.eval(
            WRITE, len(NAMES) + len(lists), *NAMES, *lists,
            revision, fingerprint, term, 100, 0, 0, 0, 1, "op", "change", *operations,
        )  # fmt: skip


def lease(server: Server, own_id: str, milliseconds: int = 6_000) -> int:
    with server.client() as client:
        return int(client.eval(LEASE, 1, LEADER, own_id, milliseconds))


def put_again(server: Server, revision: int, value: str) -> Any:
    """Write another stable, over the first one."""
    now = server.cli("HGET gray:route:chat stable")
    stands = RouteState(route={"stable": str(now)}).fingerprint()
    return write(server, 2, "HSET", 2, "stable", value, revision=revision, fingerprint=stands)


# Writing


def test_a_write_becomes_the_next_revision(any_server: Server) -> None:
    assert write(any_server, *PUT)[:2] == [b"ok", 1]
    assert put_again(any_server, 1, "v2")[:2] == [b"ok", 2]
    assert [name for name, _ in any_server.cli("XRANGE gray:route:chat:history - +")] == [
        "1-1", "2-1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "key", [NAMES[0], NAMES[1], NAMES[2], NAMES[3], NAMES[4], HISTORY, WHITELIST]
)
def test_a_key_of_another_type_stops_the_write_before_anything_is_written(
    store: Server, key: str
) -> None:
    store.execute("SETBIT", key, 1, 1)
    reply = write(store, *PUT, 8, "list", 2, "name", "+alice", lists=(WHITELIST,))
    assert reply[0] == b"type"
    assert [*NAMES, WHITELIST][reply[1] - 1] == key
    assert store.cli("KEYS *") == [key]


def test_the_lease_matters_to_those_who_claim_to_lead(store: Server) -> None:
    store.cli(f"HSET {LEADER} a b")
    assert write(store, *PUT, term="1")[0] == b"type"
    assert write(store, *PUT)[0] == b"ok"
    store.cli(f"SET {LEADER} 2:b:{FAR}")
    assert put_again(store, 1, "v2")[0] == b"ok"
    assert write(store, term="1", revision=2)[0] == b"term"


def test_a_history_whose_newest_entries_were_removed_goes_on_with_higher_numbers(
    any_server: Server,
) -> None:
    write(any_server, *PUT)
    put_again(any_server, 1, "v2")
    any_server.cli("XDEL gray:route:chat:history 2-1")
    assert put_again(any_server, 1, "v3")[:2] == [b"ok", 3]
    any_server.cli("XTRIM gray:route:chat:history MAXLEN 0")
    assert put_again(any_server, 0, "v4")[:2] == [b"ok", 4]
    any_server.cli("DEL gray:route:chat:history")
    assert put_again(any_server, 0, "v5")[:2] == [b"ok", 1]


def test_a_foreign_entry_removed_again_does_not_stop_the_history(store: Server) -> None:
    write(store, *PUT)
    store.cli("XADD gray:route:chat:history 1700000000000-0 hello world")
    store.cli("XDEL gray:route:chat:history 1700000000000-0")
    assert put_again(store, 1, "v2")[:2] == [b"ok", 1_700_000_000_001]
    assert put_again(store, 1_700_000_000_001, "v3")[:2] == [b"ok", 1_700_000_000_002]


def test_a_history_that_takes_no_further_number_is_said_before_anything_is_written(
    store: Server,
) -> None:
    store.cli(f"XADD {HISTORY} {2**64 - 1}-{2**64 - 1} a b")
    store.cli(f"XDEL {HISTORY} {2**64 - 1}-{2**64 - 1}")
    assert write(store, *PUT)[0] == b"full"
    assert store.cli("KEYS *") == [HISTORY]


def test_only_what_changed_in_a_list_is_told(store: Server) -> None:
    store.cli(f"SADD {WHITELIST} bob dave")
    words = ("name", "+alice", "+bob", "-carol", "=+dave", "=+erin", "=-frank", "=-bob")
    assert write(store, 8, "list", len(words), *words, lists=(WHITELIST,))[0] == b"ok"
    [(first, ids), (second, head)] = store.cli("XRANGE gray:route:chat:history - +")
    assert (first, second) == ("1-0", "1-1")
    assert ids == {"name": "+5:alice+4:dave-5:frank"}
    assert head["lists"] == "name +2 -1"
    assert store.cli(f"SMEMBERS {WHITELIST}") == {"alice", "bob", "dave"}


# The lease


def test_one_leads_until_its_lease_ends_or_is_given_back(any_server: Server) -> None:
    term = lease(any_server, "a")
    assert lease(any_server, "a") == term
    assert lease(any_server, "b") == 0
    assert lease(any_server, "b", 0) == 0
    assert lease(any_server, "a", 0) == term
    assert lease(any_server, "b") > term
    assert lease(any_server, "a") == 0


def test_the_term_only_grows(store: Server) -> None:
    store.cli(f"SET {LEADER} {FAR}:a:1")
    assert lease(store, "b") == FAR + 1


def test_a_new_term_is_no_less_than_the_time_in_ms(any_server: Server) -> None:
    seconds = int(any_server.execute("TIME")[0])
    any_server.cli(f"SET {LEADER} 41:a:1")
    assert lease(any_server, "b") >= seconds * 1000
    any_server.cli(f"DEL {LEADER}")
    assert lease(any_server, "b") >= seconds * 1000


def test_a_clock_that_went_back_does_not_leave_everybody_without_a_leader(store: Server) -> None:
    store.cli(f"SET {LEADER} 7:dead:{FAR}")
    assert lease(store, "b") > 7
    assert lease(store, "c") == 0


@pytest.mark.parametrize("garbage", ["", "x", "1:a", "-1:a:5", "1:a:soon", "::"])
def test_garbage_in_the_lease_is_nobodys_lease(store: Server, garbage: str) -> None:
    store.execute("SET", LEADER, garbage)
    assert lease(store, "a")


def test_a_name_with_colons_may_lead(store: Server) -> None:
    term = lease(store, "host:8080:1")
    assert term > 0
    assert lease(store, "host:8080:1") == term
    assert lease(store, "b") == 0
