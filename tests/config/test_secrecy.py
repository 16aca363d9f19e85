"""A canary is put wherever people put secrets, rightly or wrongly; nothing may sing it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.catalog import catalog
from gateway.config.describe import show
from gateway.config.flags import Flag
from gateway.config.secret import Secret
from gateway.errors import SettingsError
from tests.config.loading import loaded

CANARY = "hunter2"
SECRETS = [setting for setting in catalog().values() if setting.is_secret]

WRONG_TOML = [
    "[redis]\npassword = hunter2\n",
    "[redis]\npassword = 'hunter2\n",
    "[redis]\npassword = ['hunter2']\n",
    "[redis]\npassword = {text = 'hunter2'}\n",
    "[redis]\npassword_file = 'hunter2'\n",
    "[redis]\npassword_file = ['hunter2']\n",
    "[redis]\npassword = 'hunter2'\npassword_file = 'hunter2'\n",
    "[redis]\npassword = 'hunter2'\npassword = 'hunter2'\n",
    "[redis]\npasswrd = 'hunter2'\n",
    "[redis]\nurl = 'redis://:hunter2@h'\n",
    "[redis]\nurl = 'redis://h/0?password=hunter2'\n",
    "[redis]\nurl = 'http://:hunter2@h'\n",
    "[redis]\nurl = ['redis://:hunter2@h']\n",
    "[listen]\nport = 'redis://:hunter2@h'\n",
    "[redis]\ntls_key = 'hunter2'\n",
    "[admin]\ntoken = 'hunter2 '\n",
    "redis = 'redis://:hunter2@h'\n",
    "password = 'hunter2'\n",
]


def assert_silent(error: SettingsError) -> None:
    told = [str(error), repr(error), *map(repr, error.problems)]
    told += traceback.format_exception(error)
    assert error.problems
    assert not [text for text in told if CANARY in text]


@pytest.mark.parametrize("text", WRONG_TOML)
def test_no_mistake_in_the_file_shows_a_secret(toml: Callable[[str], Path], text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(toml(text))
    assert_silent(refused.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"GRAYGATE_REDIS__PASSWORD_FILE": CANARY},
        {"GRAYGATE_REDIS__PASSWORD_FILE": f"{CANARY}\0"},
        {"GRAYGATE_REDIS__PASSWORD": f"{CANARY}\udcff"},
        {"GRAYGATE_REDIS_PASSWORD": CANARY},
        {"GRAYGATE_REDIS__PASWORD": CANARY},
        {"GRAYGATE_REDIS_URL": f"redis://:{CANARY}@h"},
        {"GRAYGATE_REDIS_URL": f"redis://{CANARY}@h"},
        {"GRAYGATE_REDIS_URL": f"{CANARY}@h"},
        {"GRAYGATE_ADMIN__TOKEN": f"{CANARY}\n"},
        {"GRAYGATE_REDIS__PASSWORD": CANARY, "GRAYGATE_REDIS__PASSWORD_FILE": CANARY},
    ],
)
def test_no_mistake_in_the_environment_shows_a_secret(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(environ=environ)
    assert_silent(refused.value)


@pytest.mark.parametrize("key", ["redis.password_file", "redis.url", "redis.pasword"])
def test_no_mistake_in_a_flag_shows_a_secret(key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(flags={key: Flag("--x", f"redis://:{CANARY}@h")})
    assert_silent(refused.value)


@pytest.mark.parametrize("content", [f"{CANARY}\udcff", f"{CANARY * 20_000}"])
def test_no_unusable_secret_file_shows_what_it_holds(content: str) -> None:
    Path("s").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError) as refused:
        loaded(environ={"GRAYGATE_REDIS__PASSWORD_FILE": "s"})
    assert_silent(refused.value)


def test_good_settings_show_no_secret_in_any_form() -> None:
    result = loaded(environ={setting.variable: CANARY for setting in SECRETS})
    for setting in SECRETS:
        held = getattr(getattr(result.settings, setting.section), setting.name)
        assert held == Secret(CANARY)
    for text in (repr(result), str(result), f"{result.settings}", repr(show(result))):
        assert CANARY not in text
