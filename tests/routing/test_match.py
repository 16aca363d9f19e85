from __future__ import annotations

import itertools

import pytest

from gateway.routing.match import Matcher
from gateway.routing.spec import RouteSpec
from tests.routing.requests import request, spec


def matched(specs: list[RouteSpec], **parts: object) -> str | None:
    """The route, which must not depend on the order in which routes are given."""
    names = {
        Matcher(order).match(request(**parts))  # type: ignore[arg-type]  # parts of a request
        for order in itertools.permutations(specs)
    }
    assert len(names) == 1
    return names.pop()


def test_no_routes_match_nothing() -> None:
    assert Matcher([]).match(request()) is None


def test_a_route_without_conditions_takes_everything() -> None:
    assert matched([spec()], host=b"", path=b"/") == "chat"
    assert matched([spec()], host=b"x.example.com", path=b"/a/b/c") == "chat"


HOSTS = [
    spec("exact", hosts=("api.example.com",)),
    spec("near", hosts=("*.eu.example.com",)),
    spec("far", hosts=("*.example.com",)),
    spec("any"),
]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"api.example.com", "exact"),
        (b"api.example.com.", "exact"),
        (b"x.example.com", "far"),
        (b"x.api.example.com", "far"),
        (b"x.eu.example.com", "near"),
        (b"y.x.eu.example.com", "near"),
        (b"eu.example.com", "far"),
        (b"example.com", "any"),
        (b".example.com", "any"),
        (b"notexample.com", "any"),
        (b"", "any"),
        (b"[::1]", "any"),
        (b"a." * 2000 + b"eu.example.com", "near"),
    ],
)
def test_the_nearest_host_wins(host: bytes, name: str) -> None:
    assert matched(HOSTS, host=host) == name


def test_a_host_that_nobody_has_matches_nothing() -> None:
    assert matched(HOSTS[:1], host=b"example.com") is None


PATHS = [
    spec("root"),
    spec("v1", paths=("/v1",)),
    spec("chat", paths=("/v1/chat/", "/chat")),
    spec("v10", paths=("/v10/chat",)),
]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/", "root"),
        (b"/v1", "v1"),
        (b"/v1/", "v1"),
        (b"/v1/x", "v1"),
        (b"/v1/chatter", "v1"),
        (b"/v1/chat", "chat"),
        (b"/v1/chat/", "chat"),
        (b"/v1/chat/completions/a/b", "chat"),
        (b"/chat", "chat"),
        (b"/chats", "root"),
        (b"/v10", "root"),
        (b"/v10/chat", "v10"),
        (b"/v10/chatx", "root"),
        (b"/v" + b"/a" * 4000, "root"),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins(path: bytes, name: str) -> None:
    assert matched(PATHS, path=path) == name


def test_a_path_that_nobody_has_matches_nothing() -> None:
    assert matched(PATHS[1:], path=b"/x") is None


def test_a_host_whose_paths_do_not_fit_leaves_it_to_the_next() -> None:
    specs = [
        spec("exact", hosts=("a.example.com",), paths=("/v1",)),
        spec("wild", hosts=("*.example.com",), paths=("/v2",)),
        spec("any"),
    ]
    assert matched(specs, host=b"a.example.com", path=b"/v1") == "exact"
    assert matched(specs, host=b"a.example.com", path=b"/v2") == "wild"
    assert matched(specs, host=b"a.example.com", path=b"/v3") == "any"


MODELS = [
    spec("mini", models=("gpt-mini", "gpt-tiny")),
    spec("mini-post", models=("gpt-mini",), methods=("POST",)),
    spec("posts", methods=("POST",)),
    spec("rest"),
    spec("rest-2"),
]


@pytest.mark.parametrize(
    ("method", "model", "name"),
    [
        ("POST", "gpt-mini", "mini-post"),
        ("PUT", "gpt-mini", "mini"),
        ("POST", "gpt-tiny", "mini"),
        ("POST", "other", "posts"),
        ("POST", None, "posts"),
        ("PUT", "other", "rest"),
        ("PUT", None, "rest"),
    ],
)
def test_models_then_methods_then_names_decide(method: str, model: str | None, name: str) -> None:
    assert matched(MODELS, method=method, model=model) == name


def test_a_longer_path_beats_a_model() -> None:
    specs = [spec("model", models=("m",)), spec("path", paths=("/v1",))]
    assert matched(specs, path=b"/v1/x", model="m") == "path"


def test_head_matches_where_get_does() -> None:
    specs = [spec("get", methods=("GET",)), spec("post", methods=("POST",), paths=("/v1",))]
    assert matched(specs, method="HEAD", path=b"/v1") == "get"
    assert matched(specs, method="DELETE", path=b"/v1") is None


def test_the_model_is_wanted_only_where_it_decides() -> None:
    matcher = Matcher(
        [
            spec("models", models=("m",), methods=("POST",), paths=("/v1/chat",)),
            spec("rest", paths=("/v1",)),
            spec("gets", methods=("GET",), paths=("/v1/files",)),
        ]
    )
    assert matcher.wants_model(request(method="POST", path=b"/v1/chat/completions"))
    assert not matcher.wants_model(request(method="GET", path=b"/v1/chat"))
    assert not matcher.wants_model(request(method="POST", path=b"/v1/files"))
    assert not matcher.wants_model(request(method="POST", path=b"/other"))


def test_a_route_that_takes_every_model_spares_reading_it() -> None:
    specs = [spec("models", models=("m",)), spec("files", paths=("/files",))]
    assert not Matcher(specs).wants_model(request(path=b"/files/1"))
    assert Matcher(specs).wants_model(request(path=b"/other"))


def test_a_thousand_routes_are_told_apart() -> None:
    specs = [
        spec(f"r{n}", hosts=(f"h{n % 10}.example.com",), paths=(f"/p{n}",), models=(f"m{n}",))
        for n in range(1000)
    ]
    matcher = Matcher(specs)
    for n in (0, 7, 999):
        host = b"h%d.example.com" % (n % 10)
        assert matcher.match(request(host=host, path=b"/p%d/x" % n, model=f"m{n}")) == f"r{n}"
        assert matcher.match(request(host=host, path=b"/p%d/x" % n, model="m")) is None
