from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config.catalog import catalog
from gateway.config.describe import render_sample
from gateway.config.schema import settings_schema
from tests.cli.conftest import Run

CANARY = "hunter2"


@pytest.fixture
def settings_file() -> Path:
    path = Path("config/gateway.toml")
    path.parent.mkdir()
    path.write_text('[listen]\nport = 90\n[redis]\npassword = "hunter2"\n')
    return path


class TestCheck:
    def test_good_settings_are_ok(self, run: Run, settings_file: Path) -> None:
        result = run("config", "check")
        assert (result.exit_code, result.stdout) == (0, "config/gateway.toml: ok\n")
        assert result.stderr == ""

    def test_the_file_that_was_checked_is_told(self, run: Run) -> None:
        Path("a.toml").write_text(render_sample())
        assert run("config", "check", "--config", "a.toml").stdout == "a.toml: ok\n"
        named = run("config", "check", env={"GRAYGATE_CONFIG": "a.toml"})
        assert named.stdout == "a.toml: ok\n"
        assert run("config", "check").stdout == "defaults (no settings file): ok\n"

    def test_all_problems_are_told_one_a_line(self, run: Run, settings_file: Path) -> None:
        settings_file.write_text('[listen]\nprot = 1\nport = "x"\n')
        result = run("config", "check", "--workers", "0", env={"GRAYGATE_LOG__LEVEL": "loud"})
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.splitlines() == [
            "graygate: config/gateway.toml listen.prot: is not a setting; "
            "did you mean listen.port?",
            "graygate: config/gateway.toml listen.port: "
            "must be a whole number from 0 to 65535, not 'x'",
            "graygate: GRAYGATE_LOG__LEVEL: must be one of debug, info, warning, error, not 'loud'",
            "graygate: --workers: must be a whole number from 1 to 256, or auto, not 0",
        ]

    def test_json_tells_the_same_to_machines(self, run: Run, settings_file: Path) -> None:
        good = run("config", "check", "--json")
        assert good.exit_code == 0
        assert json.loads(good.stdout) == {
            "ok": True,
            "file": "config/gateway.toml",
            "problems": [],
        }
        bad = run("config", "check", "--json", "--port", "x")
        assert bad.exit_code == 2
        assert bad.stderr == ""
        assert json.loads(bad.stdout) == {
            "ok": False,
            "problems": [
                {"where": "--port", "what": "must be a whole number from 0 to 65535, not 'x'"}
            ],
        }

    def test_json_names_no_file_when_there_is_none(self, run: Run) -> None:
        assert json.loads(run("config", "check", "--json").stdout)["file"] is None

    def test_a_missing_file_is_told(self, run: Run) -> None:
        result = run("config", "check", "--config", "no.toml")
        assert result.exit_code == 2
        assert result.stderr == "graygate: no.toml: there is no such settings file\n"

    def test_an_argument_too_many_is_wrong_usage(self, run: Run) -> None:
        result = run("config", "check", "a.toml")
        assert result.exit_code == 2
        assert result.stderr.startswith("graygate: Got unexpected extra argument")
        assert result.stderr.endswith("Try 'graygate config check --help'.\n")


class TestShow:
    def test_every_setting_is_shown_with_its_origin(self, run: Run, settings_file: Path) -> None:
        result = run("config", "show", "--admin-port", "91", env={"GRAYGATE_LOG__LEVEL": "debug"})
        assert result.exit_code == 0
        lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
        assert list(lines) == list(catalog())
        assert lines["listen.port"] == ["90", "file config/gateway.toml"]
        assert lines["admin.port"] == ["91", "flag --admin-port"]
        assert lines["log.level"] == ['"debug"', "env GRAYGATE_LOG__LEVEL"]
        assert lines["redis.password"] == ["***", "file config/gateway.toml"]
        assert lines["listen.host"] == ['"0.0.0.0"', "default"]

    def test_json_has_values_and_origins(self, run: Run, settings_file: Path) -> None:
        shown = json.loads(run("config", "show", "--json").stdout)
        assert list(shown) == list(catalog())
        assert shown["listen.port"] == {"value": 90, "origin": "file config/gateway.toml"}
        assert shown["redis.password"] == {"value": "***", "origin": "file config/gateway.toml"}
        assert shown["routing.trusted_proxies"] == {"value": ["private"], "origin": "default"}

    def test_wrong_settings_are_not_shown_but_told(self, run: Run) -> None:
        result = run("config", "show", "--json", "--set", "listen.prot=1")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr == (
            "graygate: --set listen.prot: is not a setting; did you mean listen.port?\n"
        )


class TestSchema:
    def test_the_schema_is_printed_as_json(self, run: Run) -> None:
        result = run("config", "schema")
        assert result.exit_code == 0
        assert json.loads(result.stdout) == json.loads(json.dumps(settings_schema()))

    def test_it_does_not_need_sound_settings(self, run: Run) -> None:
        assert run("config", "schema", env={"GRAYGATE_NOPE": "1"}).exit_code == 0

    def test_it_takes_no_argument(self, run: Run) -> None:
        assert run("config", "schema", "redis").exit_code == 2


def test_the_group_alone_shows_its_help_as_wrong_usage(run: Run) -> None:
    result = run("config")
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: graygate config ")


@pytest.mark.parametrize("debug", ["0", "1"])
@pytest.mark.parametrize(
    "command", [("show",), ("show", "--json"), ("check",), ("check", "--json")]
)
@pytest.mark.parametrize(
    ("toml", "flags", "env"),
    [
        (f"[redis]\npassword = '{CANARY}'\n", (), {}),
        (f"[redis]\npassword = ['{CANARY}']\n", (), {}),
        (f"[redis]\npassword = {CANARY}\n", (), {}),
        (f"[redis]\nurl = 'redis://:{CANARY}@h'\n", (), {}),
        ("", ("--redis", f"redis://:{CANARY}@h"), {}),
        ("", ("--set", f"redis.url=redis://{CANARY}@h"), {}),
        ("", ("--set", f"admin.token={CANARY}"), {}),
        ("", ("--set", f"admin.token_file={CANARY}"), {}),
        ("", ("--set", "redis.password", CANARY), {}),
        ("", (), {"GRAYGATE_ADMIN__TOKEN": CANARY}),
        ("", (), {"GRAYGATE_ADMIN__TOKEN": f"{CANARY} "}),
        ("", (), {"GRAYGATE_ADMIN_TOKEN": CANARY}),
        ("", (), {"GRAYGATE_REDIS_URL": f"rediss://u:{CANARY}@h/0"}),
    ],
)
def test_no_output_ever_holds_a_secret(
    run: Run,
    command: tuple[str, ...],
    toml: str,
    flags: tuple[str, ...],
    env: dict[str, str],
    debug: str,
) -> None:
    Path("g.toml").write_text(toml)
    environ = env | {"GRAYGATE_DEBUG": debug, "GRAYGATE_CONFIG": "g.toml"}
    result = run("config", *command, *flags, env=environ)
    assert result.output
    assert CANARY not in result.output
