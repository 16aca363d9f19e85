from __future__ import annotations

import msgspec
import pytest

from gateway.config.settings import Redis
from gateway.demo.plant import main, plant
from gateway.errors import StoreError, StoreUnavailable
from gateway.state.address import open_link
from gateway.state.contract import validate
from gateway.state.keys import Keys
from gateway.state.reader import read_routes
from tests.servers import Server, free_port

URLS = {"v1": "http://127.0.0.1:9101", "v2": "http://127.0.0.1:9102"}


async def test_the_planted_route_is_valid_and_raises_no_doubt(any_server: Server) -> None:
    settings, keys = Redis(url=any_server.url), Keys()
    assert await plant(settings, URLS)
    async with await open_link(settings) as link:
        verdict = validate((await read_routes(link, keys, ["chat"]))["chat"], keys)
    assert (verdict.refused, verdict.warnings) == ([], [])
    assert verdict.spec is not None
    assert verdict.spec.stable == "v1"
    assert verdict.spec.weights == {"v2": 10}
    assert verdict.spec.unit == ("header:x-user-id", "cookie:uid", "ip")
    assert verdict.spec.dialect == "openai"
    assert {name: v.urls for name, v in verdict.spec.versions.items()} == {
        name: (url,) for name, url in URLS.items()
    }


async def test_planting_again_keeps_the_operators_weight(store: Server) -> None:
    settings = Redis(url=store.url)
    await plant(settings, URLS)
    store.cli("HSET gray:route:chat:weights v2 35")
    assert not await plant(settings, URLS)
    assert await plant(settings, {**URLS, "v2": "http://127.0.0.1:9999"})
    assert store.cli("HGET gray:route:chat:weights v2") == "35"
    entry = msgspec.json.decode(store.cli("HGET gray:route:chat:versions v2"))
    assert entry == {"urls": ["http://127.0.0.1:9999"], "demo": True}


async def test_the_prefix_is_that_of_the_settings(store: Server) -> None:
    await plant(Redis(url=store.url, prefix="{gray}:"), URLS)
    assert sorted(store.cli("KEYS *")) == [
        "{gray}:route:chat",
        "{gray}:route:chat:versions",
        "{gray}:route:chat:weights",
        "{gray}:routes",
    ]


async def test_keys_of_a_wrong_kind_are_told_and_nothing_is_written(store: Server) -> None:
    store.cli("SET gray:routes nonsense")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await plant(Redis(url=store.url), URLS)
    assert store.cli("KEYS *") == ["gray:routes"]


async def test_a_store_out_of_reach_is_told() -> None:
    with pytest.raises(StoreUnavailable):
        await plant(Redis(url=f"redis://127.0.0.1:{free_port()}"), URLS)


PAIRS = [f"{name}={url}" for name, url in URLS.items()]


def test_as_a_program_it_takes_the_store_of_the_settings(
    store: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAYGATE_REDIS_URL", store.url)
    main(PAIRS)
    assert capsys.readouterr().out == "Route chat is there.\n"
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    main(PAIRS)
    assert capsys.readouterr().out.startswith("Nothing to do")


@pytest.mark.parametrize(
    ("words", "code"),
    [(PAIRS, 1), ([PAIRS[0], "v3=http://127.0.0.1:1"], 2), ([PAIRS[0], PAIRS[0]], 2)],
)
def test_as_a_program_it_says_in_a_sentence_what_is_wrong(
    words: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAYGATE_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert "Traceback" not in said and "gateway.demo.plant: " in said
