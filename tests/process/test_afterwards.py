"""What is found out about answers afterwards, through real processes: shadow and feedback."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.config.settings import Redis
from gateway.metrics.strata import EventCounts
from gateway.state.keys import Keys
from gateway.state.store import WorkLink
from gateway.state.strata import StrataLog
from tests.deploy.gateway import Gateway
from tests.process.harness import wait_until
from tests.servers import HOST, Server, Valkey, free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

REQUESTS = 200
SECRET = "sk-abcdefghijklmnopqrstu"


class Model(BaseHTTPRequestHandler):
    """Says a label; v2 another one to three in ten questions, and then tells a secret, too."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    name = ""

    def do_GET(self) -> None:
        number = int(self.path.rpartition("/")[2] or 0)
        is_odd = self.name == "v2" and number % 10 < 3
        said = {"id": f"{self.name}-{number}", "label": "no" if is_odd else "yes"}
        if is_odd:
            said["api_key"] = SECRET
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


class First(Model):
    name = "v1"


class Second(Model):
    name = "v2"


@pytest.fixture(scope="module")
def models() -> Iterator[dict[str, str]]:
    servers = {one.name: ThreadingHTTPServer((HOST, 0), one) for one in (First, Second)}
    threads = []
    for server in servers.values():
        server.daemon_threads = True
        threads.append(threading.Thread(target=server.serve_forever, args=(0.05,)))
        threads[-1].start()
    yield {name: f"http://{HOST}:{one.server_address[1]}" for name, one in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def own_store() -> Iterator[Server]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(
    own_store: Server, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    down = f"http://{HOST}:{free_port()}"
    fields: dict[str, dict[str, str]] = {
        "mirrored": {"mirror": "v2", "compare": '{"kind": "label", "path": "label"}'}
        | {"mirror_self": "40"},
        "rated": {"feedback": "100"},
        "failing": {"feedback": "100", "retries": "0"},
    }
    for name, more in fields.items():
        key = f"gray:route:{name}"
        urls = {**models, "v2": down} if name == "failing" else models
        own_store.execute("HSET", f"{key}:versions", "v1", urls["v1"], "v2", urls["v2"])
        if name != "mirrored":
            own_store.execute("HSET", f"{key}:weights", "v2", "50")
        words = [word for pair in more.items() for word in pair]
        own_store.execute("HSET", key, "stable", "v1", "path", f"/{name}", *words)
        own_store.execute("SADD", "gray:routes", name)
    with Gateway(tmp_path_factory.mktemp("afterwards") / "gw", own_store) as gateway:
        wait_until(lambda: asked(gateway, "mirrored", 999_999)[0] == 200, "requests are served")
        wait_until(lambda: judged(gateway) == 1, "that one is compared")
        yield gateway


def asked(
    gateway: Gateway, route: str, number: int, request_id: str = ""
) -> tuple[int, str, str, str]:
    """Status, version, reason and the id that the answer bears."""
    where = urlsplit(gateway.data_url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=20)
    headers = {"X-User-Id": f"user-{number}"}
    if request_id:
        headers["X-Request-Id"] = request_id
    try:
        connection.request("GET", f"/{route}/{number}", headers=headers)
        with connection.getresponse() as answer:
            answer.read()
            told = [answer.getheader(f"X-{n}", "") for n in ("Graygate-Version", "Graygate-Reason")]
            return answer.status, told[0], told[1], answer.getheader("X-Request-Id", "")
    finally:
        connection.close()


def api(gateway: Gateway, path: str, content: object = None) -> Any:
    """What the API answers."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(
        f"{gateway.admin_url}/api/v1/routes/{path}",
        data=data,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def events(store: Server, route: str) -> Counter[tuple[str, str, str]]:
    """What the judge will read: family, version, and how many, how many of them bad."""

    async def read() -> list[EventCounts]:
        work = WorkLink(Redis(url=store.url))
        try:
            batches = await StrataLog(work.get, Keys()).read(route, limit=10_000)
        finally:
            await work.close()
        return [event for batch in batches for event in batch.events]

    found: Counter[tuple[str, str, str]] = Counter()
    for event in asyncio.run(read()):
        found[event.family, event.version, "n"] += event.n
        found[event.family, event.version, "bad"] += event.bad
    return +found


def metric(gateway: Gateway, name: str, **labels: str) -> float:
    """The sum over all series of this name that have these labels."""
    lines = [one for one in gateway.metrics()[0].splitlines() if one.startswith(name + "{")]
    words = [f'{label}="{value}"' for label, value in labels.items()]
    told = [line for line in lines if all(word in line for word in words)]
    return sum(float(line.rpartition(" ")[2]) for line in told)


def rate(gateway: Gateway, route: str, ratings: object) -> tuple[int, int, int]:
    taken = api(gateway, f"{route}/feedback", ratings)
    return taken["joined"], taken["unknown"], taken["repeated"]


def test_a_shadow_that_differs_shows_and_stable_agrees_with_itself(
    gateway: Gateway, own_store: Server
) -> None:
    before = judged(gateway)
    for number in range(REQUESTS):
        assert asked(gateway, "mirrored", number)[:2] == (200, "v1")
    wait_until(lambda: judged(gateway) >= before + REQUESTS, "all pairs are compared")
    told = api(gateway, "mirrored/shadow")
    candidate, itself = told["pairs"]["candidate"], told["pairs"]["self"]
    assert (told["compares"], told["candidate"], told["stable"]) == (True, "v2", "v1")
    assert itself["different"] == 0 and itself["agreement"] == 1.0
    assert 40 <= itself["same"] <= 120  # 40 % of 200: 80 by chance
    assert 0.15 < 1 - candidate["agreement"] < 0.45
    assert told["excess"] == pytest.approx(1 - candidate["agreement"])
    assert candidate["reasons"] == {"label": candidate["different"]}
    [drift] = told["drift"]
    assert (drift["class"], drift["is_drift"]) == ("label", True)
    assert told["holds"] and "drift from those of v1" in told["holds"][0]
    n, bad = candidate["same"] + candidate["different"], candidate["different"]
    wanted = {("shadow", "v2", "n"): n, ("shadow", "v2", "bad"): bad}
    wanted["shadow_self", "v1", "n"] = itself["same"]
    wait_until(lambda: events(own_store, "mirrored") == wanted, f"the judge reads {wanted}")
    of_v2 = {"route": "mirrored", "version": "v2", "kind": "candidate"}
    assert metric(gateway, "graygate_shadow_pairs_total", **of_v2, outcome="different") == bad


def judged(gateway: Gateway) -> int:
    pairs = api(gateway, "mirrored/shadow")["pairs"].values()
    return sum(one["same"] + one["different"] + one["unreadable"] for one in pairs)


def test_examples_show_what_differs_and_no_secret(gateway: Gateway) -> None:
    wait_until(lambda: bool(api(gateway, "mirrored/shadow/examples")), "there is an example")
    [*_, one] = api(gateway, "mirrored/shadow/examples")
    assert (one["kind"], one["version"], one["reason"]) == ("candidate", "v2", "label")
    assert '"label": "yes"' in one["stable_answer"] and '"label": "no"' in one["copy_answer"]
    assert SECRET not in json.dumps(one) and "***" in one["copy_answer"]


def test_ratings_find_the_version_that_answered(gateway: Gateway, own_store: Server) -> None:
    own = [asked(gateway, "rated", number) for number in range(20)]
    foreign = [asked(gateway, "rated", 100 + n, f"client-{n}") for n in range(20)]
    assert [one[3] for one in foreign] == [f"client-{n}" for n in range(20)]
    truth: Counter[str] = Counter()
    for number, (status, version, _, request_id) in enumerate(own + foreign):
        assert status == 200
        is_bad = number % 4 == 0
        rating = {"request_id": request_id, "label": "down" if is_bad else "up"}
        joined(gateway, "rated", rating)
        truth[version] += 1
        truth[f"{version} bad"] += is_bad
    assert len(truth) == 4  # both versions, and both got bad ratings
    wanted = {
        **{("feedback", version, "n"): truth[version] for version in ("v1", "v2")},
        **{("feedback", version, "bad"): truth[f"{version} bad"] for version in ("v1", "v2")},
    }
    wait_until(lambda: events(own_store, "rated") == wanted, f"the judge reads {wanted}")
    for version in ("v1", "v2"):
        labels = {"route": "rated", "version": version}
        assert metric(gateway, "graygate_feedback_total", **labels) == truth[version]
    again = [{"request_id": one[3], "score": 0.1} for one in own]
    assert rate(gateway, "rated", again) == (0, 0, 20)
    # Another question about the same answers is none that was answered already.
    named = [{**one, "name": "helpful"} for one in again]
    assert rate(gateway, "rated", [*named, named[0]]) == (20, 0, 1)
    assert rate(gateway, "rated", {"request_id": "nobody's", "bad": True}) == (0, 1, 0)


def joined(gateway: Gateway, route: str, rating: object) -> None:
    """Rates an answer as soon as its worker has told of it."""
    wait_until(lambda: rate(gateway, route, rating) == (1, 0, 0), f"{rating} finds its answer")


def test_a_failover_is_rated_as_stables_but_compared_with_nobody(
    gateway: Gateway, own_store: Server
) -> None:
    answers = [asked(gateway, "failing", number) for number in range(40)]
    failed_over = [one for one in answers if one[2] == "failover"]
    drawn = [one for one in answers if one[2] == "stable"]
    assert failed_over and drawn and all(one[1] == "v1" for one in answers)
    for _, _, _, request_id in answers:
        joined(gateway, "failing", {"request_id": request_id, "bad": True})
    wanted = {("feedback", "v1", kind): len(drawn) for kind in ("n", "bad")}
    wait_until(lambda: events(own_store, "failing") == wanted, f"the judge reads {wanted}")
    assert metric(gateway, "graygate_feedback_total", route="failing", version="v1") == 40
    assert metric(gateway, "graygate_feedback_total", route="failing", version="v2") == 0


def test_answers_are_found_by_another_gateway(
    gateway: Gateway, own_store: Server, tmp_path: Path
) -> None:
    request_id = asked(gateway, "rated", 7)[3]
    wait_until(lambda: bool(remembered(own_store)), "the answer is in the store")
    with Gateway(tmp_path / "gw", own_store, workers=1) as second:
        joined(second, "rated", {"request_id": request_id, "bad": False})
    assert rate(gateway, "rated", {"request_id": request_id, "bad": True}) == (0, 0, 1)


def remembered(store: Server) -> dict[str, int]:
    """How long the blocks of answers will stay."""
    keys = store.execute("KEYS", "gray:route:rated:answered:*")
    return {str(key): int(store.execute("TTL", key)) for key in keys}


def test_what_is_remembered_goes_away_after_a_day(gateway: Gateway, own_store: Server) -> None:
    left = remembered(own_store)
    assert left and all(86_400 - 60 < seconds <= 87_000 for seconds in left.values())
    keys = own_store.execute("KEYS", "gray:route:rated:rated:*")
    assert keys and all(0 < int(own_store.execute("TTL", key)) <= 86_400 for key in keys)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"request_id": "a"}, "exactly one of"),
        ({"request_id": "a", "bad": True, "score": 1}, "exactly one of"),
        ({"request_id": "a", "score": 2}, "<= 1.0"),
        ({"request_id": "a", "bad": True, "name": "errors"}, "no name for feedback"),
        ({"request_id": "a", "bad": True, "version": "v9"}, "no version 'v9'"),
        ([], "1 to 1000"),
        ([{"request_id": "a", "bad": True}] * 1001, "1 to 1000"),
    ],
)
def test_nonsense_is_refused_in_words(gateway: Gateway, content: object, what: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        api(gateway, "rated/feedback", content)
    with caught.value as error:
        assert error.code == 400
        assert what in json.loads(error.read())["detail"]
