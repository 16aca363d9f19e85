from __future__ import annotations

from gateway.admin.sessions import MOST_OF_A_TOKEN, MOST_SESSIONS, Sessions, is_csrf_of


def test_a_session_is_found_by_its_cookie_only() -> None:
    sessions = Sessions(60, 600)
    value, session = sessions.begin("0a1b2c3d", 0)
    assert sessions.find(value, 1) is session
    for other in ("", value[:-1], session.csrf, "\udcff"):
        assert sessions.find(other, 1) is None
    assert value not in repr(vars(sessions))
    assert repr(sessions) == "<1 Sessions>"


def test_a_session_ends_when_it_is_not_used_or_when_its_time_is_over() -> None:
    sessions = Sessions(60, 600)
    value, session = sessions.begin("0a1b2c3d", 0)
    assert sessions.find(value, 59) is session
    assert sessions.find(value, 60) is None  # to be found was no use
    value, session = sessions.begin("0a1b2c3d", 0)
    for now in range(0, 600, 50):
        assert sessions.find(value, now) is session
        session.seen = now
    assert sessions.find(value, 600) is None
    assert sessions.find(value, 1) is None  # what is over does not come back


def test_a_session_that_was_ended_is_gone() -> None:
    sessions = Sessions(60, 600)
    value, _ = sessions.begin("0a1b2c3d", 0)
    assert sessions.end(value) is True
    assert sessions.find(value, 1) is None
    assert sessions.end(value) is False


def test_the_oldest_sessions_of_a_token_and_of_all_make_room() -> None:
    sessions = Sessions(60, 600)
    other, _ = sessions.begin("other", 0)
    values = [sessions.begin("0a1b2c3d", 0)[0] for _ in range(MOST_OF_A_TOKEN + 1)]
    assert sessions.find(values[0], 1) is None
    assert all(sessions.find(value, 1) for value in (other, *values[1:]))
    for number in range(MOST_SESSIONS - MOST_OF_A_TOKEN):
        sessions.begin(f"token {number}", 0)
    assert sessions.find(other, 1) is None
    assert sessions.find(values[-1], 1) is not None
    assert repr(sessions) == f"<{MOST_SESSIONS} Sessions>"


def test_the_value_for_writes_is_compared_whole() -> None:
    _, session = Sessions(60, 600).begin("0a1b2c3d", 0)
    assert is_csrf_of(session, session.csrf)
    for other in ("", session.csrf[:-1], session.csrf + "x", "\udcff"):
        assert not is_csrf_of(session, other)
