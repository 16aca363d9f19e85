"""The channels of a settings file, read as strictly as every other setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.channel import Channel
from gateway.config.channels import MOST_CHANNELS
from gateway.config.secret import Secret, secrets_in
from tests.config.loading import loaded, problem, problems

Toml = Callable[[str], Path]
HOOK = 'url = "https://hooks.example.com/x"\n'
MAIL = 'host = "mail.example.com"\nsender = "g@example.com"\nto = ["team@example.com"]\n'


def channel(kind: str, lines: str, name: str = "team") -> str:
    return f'[[notify]]\nname = "{name}"\nkind = "{kind}"\n{lines}'


def test_there_are_no_channels_by_default() -> None:
    assert loaded().settings.notify == ()


def test_every_table_is_a_channel(toml: Toml) -> None:
    text = channel("webhook", HOOK + 'secret = "s"\n') + channel("email", MAIL, "mail")
    assert loaded(toml(text)).settings.notify == (
        Channel(
            name="team",
            kind="webhook",
            url=Secret("https://hooks.example.com/x"),
            secret=Secret("s"),
        ),
        Channel(
            name="mail",
            kind="email",
            host="mail.example.com",
            sender="g@example.com",
            to=("team@example.com",),
        ),
    )


def test_a_secret_may_stand_in_a_file(toml: Toml, empty_folder: Path) -> None:
    (empty_folder / "u").write_text("https://hooks.example.com/y\n")
    (found,) = loaded(toml(channel("slack", 'url_file = "u"\n'))).settings.notify
    assert found.url == Secret("https://hooks.example.com/y")


def test_secrets_of_channels_are_among_those_that_logs_hide(toml: Toml) -> None:
    settings = loaded(toml(channel("webhook", HOOK + 'secret = "hush"\n'))).settings
    assert {Secret("hush"), Secret("https://hooks.example.com/x")} <= set(secrets_in(settings))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("notify = 5\n", "g.toml notify: must be tables that each start with [[notify]]"),
        ('[notify]\nname = "a"\n', "g.toml notify: must be tables that each start with [[notify]]"),
        (channel("slack", ""), "(team): needs url"),
        (channel("slack", 'url = "ftp://x"\n'), "(team): needs url"),
        (channel("slack", HOOK + 'secret = "s"\n'), "slack knows no signature"),
        (channel("pager", HOOK), "kind: must be one of"),
        (channel("webhook", HOOK + "evnets = []\n"), "evnets: is not a setting of a channel"),
        (channel("webhook", HOOK + 'url_file = "x"\n'), "is given twice"),
        (channel("webhook", 'url_file = "absent"\n'), "names a file that cannot be read"),
        (channel("email", MAIL.replace("sender", "#")), "needs sender"),
        (channel("email", MAIL.replace('host = "mail.example.com"', "")), "needs host"),
        (channel("email", MAIL.replace("team@example.com", "team")), "needs to"),
        (
            channel("email", MAIL + 'username = "u"\npassword = "p"\nsecurity = "none"\n'),
            "would send the password in the clear",
        ),
        (channel("webhook", HOOK) * 2, "number 2: is another one called team"),
        (channel("webhook", HOOK, "a b"), "name: must be text"),
        ("[[notify]]\n" + 'kind = "slack"\n' + HOOK, "number 1: needs name"),
    ],
)
def test_what_is_wrong_with_a_channel_is_told(toml: Toml, text: str, said: str) -> None:
    assert said in problem(toml(text))


def test_everything_that_is_wrong_is_told_at_once(toml: Toml) -> None:
    text = channel("slack", "") + channel("pager", "", "b") + channel("email", "", "c")
    assert len(problems(toml(text))) == 5


def test_there_is_an_end_to_the_channels(toml: Toml) -> None:
    text = "".join(channel("webhook", HOOK, f"c{n}") for n in range(MOST_CHANNELS + 1))
    assert f"more than {MOST_CHANNELS}" in problem(toml(text))


def test_no_message_repeats_a_secret(toml: Toml) -> None:
    text = channel("slack", 'url = "https//hooks.example.com/T0/B0/hush"\nsecret = 7\n')
    assert "hush" not in " ".join(problems(toml(text)))
