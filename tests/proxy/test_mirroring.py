from __future__ import annotations

import pytest

from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.request import RequestHead, parse_request
from gateway.proxy.mirroring import Mirroring, mirroring_of
from gateway.routing.bucket import CIRCLE, allocate, bucket
from gateway.routing.spec import RouteSpec, VersionSpec

SALT = b"chat"


def mirroring(**changes: object) -> Mirroring:
    version = VersionSpec(urls=("http://h",))
    given: dict[str, object] = {"mirror": "v2", **changes}
    spec = RouteSpec(name="chat", stable="v1", versions={"v1": version, "v2": version}, **given)  # type: ignore[arg-type]
    made = mirroring_of(spec, SALT)
    assert made is not None
    return made


def asked(target: str) -> RequestHead:
    head = f"GET {target} HTTP/1.1\r\nHost: a"
    return parse_request(head.encode(), LineMemo(), Limits())


def test_a_share_of_nothing_is_no_mirroring() -> None:
    version = VersionSpec(urls=("http://h",))
    spec = RouteSpec(name="chat", stable="v1", versions={"v1": version})
    assert mirroring_of(spec, SALT) is None
    spec = RouteSpec(
        name="chat", stable="v1", versions={"v1": version}, mirror="v1", mirror_percent=0
    )
    assert mirroring_of(spec, SALT) is None


@pytest.mark.parametrize(("percent", "covered"), [(100.0, CIRCLE), (25.0, CIRCLE // 4)])
def test_a_share_covers_the_first_places_of_the_circle(percent: float, covered: int) -> None:
    made = mirroring(mirror_percent=percent)
    assert made.covers(0) and made.covers(covered - 1)
    assert covered == CIRCLE or not made.covers(covered)


def test_who_is_mirrored_has_nothing_to_do_with_who_is_moved() -> None:
    """Of the users at half the circle of the weights, half are mirrored at half of theirs."""
    made = mirroring(mirror_percent=50)
    intervals = allocate(["v2"], {"v2": 50})
    moved = [unit for number in range(2000) if intervals.find(bucket(SALT, unit := b"%d" % number))]
    share = sum(made.covers(made.place_of(unit)) for unit in moved) / len(moved)
    assert 0.45 < share < 0.55


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "X-Auth-Token"),
        *("X_Auth_Token", "Cookie", "Cookie2", "X-Api-Key", "api-key", "x_api_key", "apikey"),
        *("X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "x-functions-key", "X-Amz-Security-Token"),
        *("X-Amz-Signature", "X-Access-Token", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Oidc-Data"),
        *("X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "X-Csrf-Token", "X-Client-Secret"),
        *("X-Password", "OpenAI-Api-Key", "Authentication", "X-Authentication", "X-Auth", "Key"),
        *("X-Forwarded-Access-Token", "X-Credentials", "X-Vault-Token", "X-Subscription-Key"),
    ],
)
def test_what_lets_somebody_in_is_left_out(name: str) -> None:
    secret = name.encode() + b": s3cret"
    kept = [b"Accept: */*", secret, b"X-Last: 1"]
    assert mirroring().lines(kept) == [b"Accept: */*", b"X-Last: 1"]
    assert mirroring(mirror_credentials=True).lines(kept) == kept


@pytest.mark.parametrize(
    "name",
    [
        *("Accept", "Content-Type", "User-Agent", "X-User-Id", "Idempotency-Key", "X-Max-Tokens"),
        *(
            "X-Author",
            "Content-Encoding",
            "X-Session-Id",
            "OpenAI-Organization",
            "Keywords",
            "Range",
        ),
        *("anthropic-version", "X-Keyboard", "X-Tokenizer", "Accept-Encoding", "X-Stainless-Lang"),
    ],
)
def test_everything_else_is_copied(name: str) -> None:
    kept = [name.encode() + b": value"]
    assert mirroring().lines(kept) == kept


@pytest.mark.parametrize(
    ("target", "copied"),
    [
        ("/a", "/a"),
        ("/a?", "/a?"),
        ("/a?b=1&c", "/a?b=1&c"),
        ("/a?key=1", "/a"),
        ("/a?b=1&api_key=2&c=3", "/a?b=1&c=3"),
        ("/a?API-Key=2&b=1", "/a?b=1"),
        ("/a?b=1&access_token=x?y=z", "/a?b=1"),
        ("/a?keys=1&max_tokens=5", "/a?keys=1&max_tokens=5"),
        ("/a?b=key=1", "/a?b=key=1"),
    ],
)
def test_keys_in_the_query_are_left_out(target: str, copied: str) -> None:
    head = asked(target)
    assert mirroring().line(head).target == copied.encode()
    assert head.target == target.encode(), "the request is not touched"
    assert mirroring(mirror_credentials=True).line(head).target == target.encode()


def test_a_mirroring_says_where_to() -> None:
    made = mirroring()
    assert repr(made) == "<Mirroring to v2>"
    assert made.ours == (b"X-Graygate-Version: v2", b"X-Graygate-Mirror: 1")
