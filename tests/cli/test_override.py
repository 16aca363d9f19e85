from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from gateway.routing.override import verify_override
from tests.cli.conftest import Run

KEY = {"GRAYGATE_ROUTING__OVERRIDE_KEY": "k"}


def test_the_header_is_one_that_the_gateway_believes(run: Run) -> None:
    before = int(time.time())
    done = run("override", "chat", "v2", "--for", "2h", env=KEY)
    assert (done.exit_code, done.stderr) == (0, "")
    name, _, value = done.stdout.strip().partition(": ")
    assert name == "X-Graygate-Override"
    assert verify_override(b"k", "chat", value.encode(), before) == "v2"
    assert verify_override(b"k", "other", value.encode(), before) is None
    assert verify_override(b"k2", "chat", value.encode(), before) is None
    expiry = int(value.split(";")[1])
    assert before + 7200 <= expiry <= int(time.time()) + 7200


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("7d", 604_800), (None, 600)]
)
def test_it_holds_as_long_as_was_said(run: Run, text: str | None, seconds: int) -> None:
    before = int(time.time())
    flags = ["--for", text] if text else []
    value = json.loads(run("override", "chat", "v2", "--json", *flags, env=KEY).stdout)["value"]
    assert before + seconds <= int(value.split(";")[1]) <= int(time.time()) + seconds


def test_json_tells_when_it_ends(run: Run) -> None:
    told = json.loads(run("override", "chat", "v2", "--json", env=KEY).stdout)
    assert told["header"] == "X-Graygate-Override"
    expiry = int(told["value"].split(";")[1])
    assert datetime.fromisoformat(told["expires"]).timestamp() == expiry


def test_the_key_comes_from_the_settings(run: Run) -> None:
    Path("key").write_text("k\n")
    Path("a.toml").write_text('[routing]\noverride_key_file = "key"\n')
    done = run("override", "chat", "v2", "--config", "a.toml")
    value = done.stdout.strip().partition(": ")[2]
    assert verify_override(b"k", "chat", value.encode(), 0) == "v2"


def test_without_a_key_it_says_where_to_put_one(run: Run) -> None:
    done = run("override", "chat", "v2")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("graygate: routing.override_key: is not set, and without it ")
    assert done.stderr.endswith("GRAYGATE_ROUTING__OVERRIDE_KEY_FILE=PATH\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chat"], "Missing argument 'VERSION'."),
        (["chat", "v2", "--for", "10"], "--for takes a time such as 30s, 10m, 2h or 7d"),
        (["chat", "v2", "--for", "0s"], "--for takes a time such as 30s, 10m, 2h or 7d"),
        (["chat", "v2", "--for", "400d"], "--for takes a time such as 30s, 10m, 2h or 7d"),
        (["chat", "v 2"], "'v 2' is no name of a version"),
        (["a\nb", "v2"], "'a\\nb' is no name of a route"),
    ],
)
def test_wrong_use_is_one_sentence(run: Run, arguments: list[str], told: str) -> None:
    done = run("override", *arguments, env=KEY)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"graygate: {told}")
