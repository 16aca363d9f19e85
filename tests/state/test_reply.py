"""What each error reply of a store becomes."""

from __future__ import annotations

import pytest

from gateway.errors import Retry, StoreDenied, StoreError, StoreReadOnly, StoreUnavailable
from gateway.state.reply import Moved, error_of


@pytest.mark.parametrize(
    ("reply", "kind", "advice"),
    [
        ("NOAUTH Authentication required.", StoreDenied, "set redis.password"),
        ("WRONGPASS invalid username-password pair", StoreDenied, "check redis.username"),
        ("ERR invalid password", StoreDenied, "check redis.username"),
        ("ERR Client sent AUTH, but no password is set", StoreDenied, "check redis.username"),
        (
            "ERR AUTH <password> called without any password configured for the default user.",
            StoreDenied,
            "clear redis.password",
        ),
        (
            "NOPERM User gw has no permissions to run the 'hset' command",
            StoreDenied,
            "'hset' command); grant it with ACL SETUSER",
        ),
        ("READONLY You can't write against a read only replica.", StoreReadOnly, "the master"),
        ("OOM command not allowed when used memory > 'maxmemory'.", StoreReadOnly, "maxmemory"),
        ("MISCONF Errors writing to the AOF file", StoreReadOnly, "disk"),
        ("NOREPLICAS Not enough good replicas to write.", StoreReadOnly, "replicas"),
        ("LOADING Redis is loading the dataset in memory", StoreUnavailable, "wait"),
        ("MASTERDOWN Link with MASTER is down", StoreUnavailable, "failover"),
        ("CLUSTERDOWN Hash slot not served", StoreUnavailable, "CLUSTER INFO"),
        ("TRYAGAIN Multiple keys request during rehashing", StoreUnavailable, "wait"),
        ("ASK 3999 127.0.0.1:6381", StoreUnavailable, "wait"),
        ("BUSY Redis is busy running a script.", StoreUnavailable, "SCRIPT KILL"),
        ("UNBLOCKED force unblock from blocking operation", StoreUnavailable, "wait"),
        ("ERR max number of clients reached", StoreUnavailable, "maxclients"),
        ("MOVED nonsense", StoreUnavailable, "wait"),
        ("ERR wrong number of arguments for 'get' command", StoreError, "'get' command"),
        ("", StoreError, "refuses the command"),
    ],
)
def test_an_error_reply_becomes_the_error_that_says_what_to_do(
    reply: str, kind: type[StoreError], advice: str
) -> None:
    error = error_of(reply)
    assert type(error) is kind
    assert advice in str(error)
    assert error.reply == reply


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("127.0.0.1:6381", "127.0.0.1", 6381),
        ("node-2.example:7000", "node-2.example", 7000),
        ("::1:6381", "::1", 6381),
        ("[::1]:6381", "::1", 6381),
        (":6381", "", 6381),
    ],
)
def test_a_moved_reply_says_where_to_go(target: str, host: str, port: int) -> None:
    error = error_of(f"MOVED 3999 {target}")
    assert isinstance(error, Moved)
    assert (error.slot, error.host, error.port) == (3999, host, port)
    assert error.retry is Retry.LATER


def test_arguments_that_the_store_repeats_are_cut_off() -> None:
    error = error_of("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 's3cr3t'")
    assert error.reply == "ERR unknown command 'HELLO'"
    assert "s3cr3t" not in str(error)


def test_control_characters_and_endless_words_do_not_reach_a_log() -> None:
    error = error_of("ERR \x1b[31mred\r\nline " + "x" * 10_000)
    assert error.reply.isprintable()
    assert len(str(error)) < 400
