from __future__ import annotations

import pytest

from gateway.config.store_url import SCHEMES, is_plain_text, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost/",
        "redis://127.0.0.1:6379/0",
        "redis://[::1]:6379/15",
        "redis://my-store.internal:6380",
        "rediss://store.example:6380/2",
        "unix:///run/redis/redis.sock",
        "unix:///run/redis/redis.sock?db=3",
        "redis+sentinel://a:26379,b:26379,c/main/0",
        "redis+sentinel://a/main",
        "redis+sentinel://[::1]:26379/my-main_1.x/0",
    ],
)
def test_a_url_of_a_known_shape_is_fine(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "REDIS://localhost",
        "redis:/localhost",
        "redis-sentinel://a/main",
        " redis://localhost",
    ],
)
def test_another_scheme_is_refused_with_the_ones_there_are(url: str) -> None:
    problem = url_problem(url)
    assert problem is not None
    assert all(f"{scheme}://" in problem for scheme in SCHEMES)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:port",
        "redis://h/db",
        "redis://h/0/1",
        "redis://h/0?password=hunter2",
        "redis://h#0",
        "redis://a,b/0",
        "redis://h h/0",
        "redis://h\n/0",
        "redis://h/0\n",
        "redis://::1/0",
        "unix://",
        "unix:///",
        "unix://run/redis.sock",
        "unix:///run/redis.sock?password=hunter2",
        "redis+sentinel://a:26379",
        "redis+sentinel://a,,b/main",
        "redis+sentinel:///main",
        "redis+sentinel://a/main/x",
        "redis+sentinel://a//0",
    ],
)
def test_another_shape_is_refused_with_the_right_one_and_not_repeated(url: str) -> None:
    problem = url_problem(url)
    assert problem is not None
    assert problem.startswith("must look like ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@h",
        "redis://user:hunter2@h:6379/0",
        "redis://hunter2@h",
        "redis://:hun/ter2@h",
        "rediss://:hunter2@h",
        "unix://:hunter2@/run/redis.sock",
        "redis+sentinel://:hunter2@a,b/main",
    ],
)
def test_credentials_in_the_url_are_refused_with_where_to_put_them(url: str) -> None:
    problem = url_problem(url)
    assert problem is not None
    assert "hunter2" not in problem
    assert "redis.username" in problem
    assert "redis.password" in problem
    assert "redis.password_file" in problem


def test_only_these_schemes_leave_no_part_for_tls() -> None:
    assert is_plain_text("redis://h")
    assert is_plain_text("unix:///s")
    assert not is_plain_text("rediss://h")
    assert not is_plain_text("redis+sentinel://h/main")
