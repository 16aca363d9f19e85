from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from gateway.cli.entry import graygate
from gateway.cli.lazy import LazyCommand
from gateway.cli.program import Program
from gateway.cli.settings_flags import SettingsSource, settings_flags
from gateway.config.flags import Flag
from tests.cli.conftest import Run


def given(*arguments: str) -> tuple[SettingsSource | None, Result]:
    """What a command with the flags, and one of its own, receives."""
    seen: list[SettingsSource] = []

    @click.command()
    @click.argument("name")
    @settings_flags
    @click.option("--own")
    def probe(name: str, source: SettingsSource, own: str | None) -> None:
        assert (name, own) == ("chat", "mine")
        seen.append(source)

    class Probe(LazyCommand):
        def load(self) -> click.Command:
            return probe

    program = Program(name="graygate", commands={"probe": Probe("", "")})
    result = CliRunner().invoke(program, ["probe", "chat", "--own", "mine", *arguments])
    return (seen[0] if seen else None), result


def test_without_flags_nothing_is_given() -> None:
    source, _ = given()
    assert source == SettingsSource(None, {})


def test_each_flag_is_kept_with_its_name() -> None:
    source, _ = given(
        *("--config", "a.toml", "--port", "1", "--admin-port", "2", "--workers", "auto"),
        *("--redis", "redis://h", "--set", "log.level=debug", "--set", "redis.prefix=a=b:"),
    )
    assert source is not None
    assert source.path == Path("a.toml")
    assert source.flags == {
        "listen.port": Flag("--port", "1"),
        "admin.port": Flag("--admin-port", "2"),
        "process.workers": Flag("--workers", "auto"),
        "redis.url": Flag("--redis", "redis://h"),
        "log.level": Flag("--set log.level", "debug"),
        "redis.prefix": Flag("--set redis.prefix", "a=b:"),
    }


def test_the_source_loads_again_what_has_changed_since() -> None:
    Path("a.toml").write_text("[listen]\nport = 1\n")
    source, _ = given("--config", "a.toml", "--workers", "3")
    assert source is not None
    assert source.load({}).settings.listen.port == 1
    Path("a.toml").write_text("[listen]\nport = 2\n")
    again = source.load({"GRAYGATE_LISTEN__BACKLOG": "5"})
    assert again.settings.listen.port == 2
    assert again.settings.listen.backlog == 5
    assert again.settings.process.workers == 3
    assert again.origins["process.workers"] == "flag --workers"


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAYGATE_LISTEN__PORT", "90")
    source, _ = given()
    assert source is not None
    assert source.load().settings.listen.port == 90


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "log.level"), "--set takes section.key=value, as in --set log.level=debug"),
        (
            ("--port", "1", "--set", "listen.port=2"),
            "listen.port is given twice: --port, --set listen.port",
        ),
        (
            ("--set", "log.level=info", "--set", "log.level=debug"),
            "--set log.level is given twice; keep one of them",
        ),
    ],
)
def test_a_flag_that_cannot_be_understood_is_wrong_usage(
    arguments: tuple[str, ...], told: str
) -> None:
    source, result = given(*arguments)
    assert source is None
    assert result.exit_code == 2
    assert result.stderr == f"graygate: {told}\nTry 'graygate probe --help'.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "redis.password=hunter2"),
        ("--set", "redis.password", "hunter2"),
        ("--set", "redis.password hunter2"),
        ("--set", "hunter2"),
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_shown(
    arguments: tuple[str, ...],
) -> None:
    source, result = given(*arguments)
    assert source is None
    assert result.exit_code == 2
    assert "hunter2" not in result.output


def test_a_refused_secret_is_told_where_it_belongs() -> None:
    _, result = given("--set", "redis.password=hunter2")
    assert "GRAYGATE_REDIS__PASSWORD_FILE" in result.stderr
    assert "--set redis.password_file=PATH" in result.stderr


@pytest.mark.parametrize("command", ["check", "show"])
def test_the_commands_with_settings_have_all_the_flags(run: Run, command: str) -> None:
    output = run("config", command, "--help").stdout
    for flag in ("--config", "--set", "--port", "--admin-port", "--workers", "--redis"):
        assert f"  {flag} " in output


def test_completion_offers_the_settings() -> None:
    complete = ShellComplete(graygate, {}, "graygate", "_GRAYGATE_COMPLETE")
    offered = complete.get_completions(["config", "show", "--set"], "redis.p")
    assert [item.value for item in offered] == [
        "redis.password_file=",
        "redis.prefix=",
        "redis.poll_seconds=",
    ]
