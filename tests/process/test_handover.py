"""What a child gets from the supervisor, and the line between the two."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from gateway.config.secret import Secret
from gateway.config.settings import AccessLog, Admin, Redis, Routing, Settings
from gateway.errors import ChannelError
from gateway.metrics.standing import Standing
from gateway.process.handover import (
    RETIRE,
    ControlBoot,
    Lifeline,
    WorkerBoot,
    encode_boot,
    receive_boot,
    settings_for_worker,
    standing_of,
    standing_word,
)

SETTINGS = Settings(
    redis=Redis(password=Secret("of the store")),
    admin=Admin(token=Secret("of the operators")),
    routing=Routing(override_key=Secret("of the testers")),
)
CONTROL = ControlBoot(
    settings=SETTINGS, runtime_dir="/r", channel_fd=4, admin_fd=5, data_url="d", admin_url="a"
)


def test_control_gets_the_settings_with_their_secrets() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(encode_boot(CONTROL))
        got = receive_boot(theirs, ControlBoot)
    assert got == CONTROL
    assert got.settings.redis.password.reveal() == "of the store"


def test_start_up_data_larger_than_a_socket_buffer_arrives_whole() -> None:
    key = Secret("k" * 3_000_000)
    boot = WorkerBoot(
        settings=Settings(routing=Routing(jwt_key=key)), index=1, channel_path="/c", data_fd=3
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=ours.sendall, args=(encode_boot(boot),))
        sender.start()
        got = receive_boot(theirs, WorkerBoot)
        sender.join()
    assert got == boot


def test_a_worker_does_not_learn_the_secrets_of_the_store_and_the_operators() -> None:
    boot = WorkerBoot(
        settings=settings_for_worker(SETTINGS, Secret("pseudonyms")),
        index=0,
        channel_path="/c",
        data_fd=3,
    )
    sent = encode_boot(boot)
    assert b"of the store" not in sent and b"of the operators" not in sent
    assert b"of the testers" in sent


def test_all_workers_make_the_same_pseudonyms_with_the_key_set_or_that_of_the_gateway() -> None:
    ours, theirs = Secret("of the gateway"), Secret("of the settings")
    assert settings_for_worker(Settings(), ours).access_log.units_key == ours
    given = Settings(access_log=AccessLog(units_key=theirs))
    assert settings_for_worker(given, ours).access_log.units_key == theirs


@pytest.mark.parametrize("kept", [0, 3, 30])
def test_a_supervisor_that_goes_before_it_sent_all_is_an_error(kept: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(encode_boot(CONTROL)[:kept])
        with pytest.raises(ChannelError):
            receive_boot(theirs, ControlBoot)


async def test_words_go_both_ways_and_the_end_of_the_supervisor_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    heard: asyncio.Queue[str] = asyncio.Queue()
    lifeline = Lifeline(theirs)
    lifeline.start(heard.put_nowait)
    try:
        lifeline.say("ready")
        assert ours.recv(100) == b"ready\n"
        ours.sendall(b"ret")
        ours.sendall(b"ire\nmore\n")
        assert [await heard.get(), await heard.get()] == [RETIRE, "more"]
        assert repr(lifeline) == "<Lifeline whole>"
        ours.close()
        await asyncio.wait_for(lifeline.supervisor_gone.wait(), 5)
        assert repr(lifeline) == "<Lifeline cut>"
        lifeline.say("nobody hears this")
    finally:
        lifeline.close()
        ours.close()


def test_how_things_stand_goes_in_one_word_and_comes_back() -> None:
    standing = Standing(
        started_at=1.5, workers=2, restarts={"worker 0": 3}, looping=("worker 0",), reloads=4
    )
    word = standing_word(standing)
    assert "\n" not in word
    assert standing_of(word) == standing


@pytest.mark.parametrize("word", [RETIRE, "standing", "standing {", 'standing {"workers": "x"}'])
def test_a_word_that_is_no_standing_changes_nothing(word: str) -> None:
    assert standing_of(word) is None


def test_a_supervisor_of_a_release_that_is_too_different_is_one_sentence() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(encode_boot(CONTROL))
        with pytest.raises(ChannelError) as refused:
            receive_boot(theirs, WorkerBoot)
    assert "start the gateway anew" in str(refused.value)
    assert "of the store" not in str(refused.value)


def test_a_supervisor_of_an_older_release_may_know_less() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = b'{"settings": {}, "index": 1, "channel_path": "/c", "data_fd": 3, "of": "later"}'
        ours.sendall(len(body).to_bytes(4, "big") + body)
        assert receive_boot(theirs, WorkerBoot).owns_queue
