from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.catalog import catalog
from gateway.config.flags import Flag
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from tests.config.loading import loaded, problem, problems

Write = Callable[[str], Path]


def test_with_nothing_given_the_defaults_are_in_force() -> None:
    result = loaded()
    assert result.settings == Settings()
    assert result.file is None
    assert dict(result.origins) == dict.fromkeys(catalog(), "default")


def test_each_layer_goes_before_the_one_below_it(toml: Write) -> None:
    path = toml('[listen]\nport = 1\nhost = "10.0.0.1"\nbacklog = 7\n[log]\nlevel = "debug"\n')
    environ = {"GRAYGATE_LISTEN__PORT": "2", "GRAYGATE_LISTEN__BACKLOG": "8"}
    result = loaded(path, environ, {"listen.port": Flag("--port", "3")})
    assert result.settings.listen.port == 3
    assert result.settings.listen.backlog == 8
    assert result.settings.listen.host == "10.0.0.1"
    assert result.settings.log.level == "debug"
    assert result.settings.admin == Settings().admin
    assert result.origins["listen.port"] == "flag --port"
    assert result.origins["listen.backlog"] == "env GRAYGATE_LISTEN__BACKLOG"
    assert result.origins["listen.host"] == "file g.toml"
    assert result.origins["admin.port"] == "default"


def test_a_value_equal_to_the_default_still_has_its_origin(toml: Write) -> None:
    assert loaded(toml("[listen]\nport = 8080\n")).origins["listen.port"] == "file g.toml"


def test_every_setting_can_be_set_by_its_variable() -> None:
    # The variable alone carries the default's text: what comes out must be the default again.
    for key, setting in catalog().items():
        default = setting.default
        text = ",".join(default) if isinstance(default, tuple) else str(default).lower()
        text = "" if isinstance(default, Secret) else text
        result = loaded(environ={setting.variable: text})
        assert result.settings == Settings(), key
        assert result.origins[key] == f"env {setting.variable}"


def test_the_file_of_the_current_folder_is_read_when_it_is_there() -> None:
    Path("config").mkdir()
    Path("config/gateway.toml").write_text("[listen]\nport = 90\n")
    result = loaded()
    assert result.file == Path("config/gateway.toml")
    assert result.settings.listen.port == 90
    assert result.origins["listen.port"] == "file config/gateway.toml"


def test_a_variable_names_another_file_and_the_argument_goes_before_it(toml: Write) -> None:
    Path("env.toml").write_text("[listen]\nport = 91\n")
    environ = {"GRAYGATE_CONFIG": "env.toml"}
    assert loaded(environ=environ).settings.listen.port == 91
    assert loaded(toml("[listen]\nport = 92\n"), environ).settings.listen.port == 92
    assert loaded(environ={"GRAYGATE_CONFIG": ""}).file is None


def test_a_named_file_that_is_missing_is_a_problem() -> None:
    assert problem(Path("no.toml")) == "no.toml: there is no such settings file"
    assert problem(environ={"GRAYGATE_CONFIG": "no.toml"}).startswith("no.toml: ")


def test_a_default_file_that_is_a_dead_link_is_a_problem() -> None:
    Path("config").mkdir()
    Path("config/gateway.toml").symlink_to("nowhere")
    assert problem() == "config/gateway.toml: there is no such settings file"


def test_all_problems_of_all_layers_are_told_at_once(toml: Write) -> None:
    path = toml('[listen]\nport = "x"\nhots = "y"\n[redis]\nprefix = "gray"\n[log]\nlevel = 5\n')
    environ = {
        "GRAYGATE_REDIS__TRACKING": "maybe",
        "GRAYGATE_REDIS__PASSWORD_FILE": "no",
        "GRAYGATE_NOPE": "1",
        "GRAYGATE_ADMIN__HOST": "0.0.0.0",
    }
    assert problems(path, environ, {"process.workers": Flag("--workers", "0")}) == [
        "g.toml listen.port: must be a whole number from 0 to 65535, not 'x'",
        "g.toml listen.hots: is not a setting; did you mean listen.host?",
        "g.toml log.level: must be one of debug, info, warning, error, not 5",
        "GRAYGATE_NOPE: is not a variable Graygate knows",
        "GRAYGATE_REDIS__TRACKING: must be true or false, not 'maybe'",
        "--workers: must be a whole number from 1 to 256, or auto, not 0",
        "GRAYGATE_REDIS__PASSWORD_FILE: names a file that cannot be read: "
        "No such file or directory",
        "g.toml redis.prefix: must end with a colon, as in gray: or, on Redis Cluster, {gray}:",
        "GRAYGATE_ADMIN__HOST (admin.host): without a token the admin port stays on loopback; "
        "set admin.token or admin.token_file, or admin.host to 127.0.0.1",
    ]


def test_a_syntax_error_does_not_hide_the_mistakes_of_the_environment(toml: Write) -> None:
    assert len(problems(toml("[listen\n"), {"GRAYGATE_LISTEN__PORT": "x"})) == 2


def test_a_value_hidden_by_a_higher_layer_must_be_good_as_well(toml: Write) -> None:
    path = toml('[listen]\nport = "x"\n')
    assert "g.toml listen.port" in problem(path, {"GRAYGATE_LISTEN__PORT": "90"})


def test_nothing_is_concluded_from_a_value_that_is_broken_anyway() -> None:
    # With a readable token this host would be fine.
    environ = {"GRAYGATE_ADMIN__HOST": "0.0.0.0", "GRAYGATE_ADMIN__TOKEN_FILE": "no"}
    assert problem(environ=environ).startswith("GRAYGATE_ADMIN__TOKEN_FILE: ")


def test_a_conclusion_is_told_where_somebody_wrote_the_cause(toml: Write) -> None:
    found = problem(toml("[listen]\nport = 8081\n"))
    assert found.startswith("g.toml listen.port: listen.port and admin.port are both 8081")


class TestSecrets:
    def test_a_secret_comes_from_a_variable_or_a_file_named_by_one(self) -> None:
        Path("s").write_text("from file\n")
        direct = loaded(environ={"GRAYGATE_REDIS__PASSWORD": "direct"})
        by_file = loaded(environ={"GRAYGATE_REDIS__PASSWORD_FILE": "s"})
        assert direct.settings.redis.password == Secret("direct")
        assert by_file.settings.redis.password == Secret("from file")
        assert by_file.origins["redis.password"] == "env GRAYGATE_REDIS__PASSWORD_FILE"

    def test_the_settings_file_may_hold_a_secret_or_name_its_file(self, toml: Write) -> None:
        Path("s").write_text("from file\n")
        direct = loaded(toml('[redis]\npassword = "direct"\n'))
        assert direct.settings.redis.password == Secret("direct")
        by_file = loaded(toml('[redis]\npassword_file = "s"\n'))
        assert by_file.settings.redis.password == Secret("from file")
        assert by_file.origins["redis.password"] == "file g.toml"

    def test_a_flag_may_name_the_file(self) -> None:
        Path("s").write_text("from file\n")
        result = loaded(flags={"redis.password_file": "s"})
        assert result.settings.redis.password == Secret("from file")

    def test_one_source_gives_it_once(self, toml: Write) -> None:
        path = toml('[redis]\npassword = "a"\npassword_file = "b"\n')
        assert problem(path) == (
            "g.toml redis.password_file: is given twice, also as g.toml redis.password; "
            "keep one of them"
        )
        environ = {"GRAYGATE_REDIS__PASSWORD": "a", "GRAYGATE_REDIS__PASSWORD_FILE": "b"}
        assert "is given twice" in problem(environ=environ)

    def test_a_higher_layer_replaces_it_in_either_form(self, toml: Write) -> None:
        path = toml('[redis]\npassword_file = "is-only-there-in-production"\n')
        result = loaded(path, {"GRAYGATE_REDIS__PASSWORD": "local"})
        assert result.settings.redis.password == Secret("local")
        assert result.origins["redis.password"] == "env GRAYGATE_REDIS__PASSWORD"

    def test_a_password_in_the_url_is_refused_wherever_it_comes_from(self, toml: Write) -> None:
        url = "redis://:hunter2@h"
        for found in (
            problem(toml(f'[redis]\nurl = "{url}"\n')),
            problem(environ={"GRAYGATE_REDIS_URL": url}),
            problem(flags={"redis.url": Flag("--redis", url)}),
        ):
            assert "redis.password_file" in found
            assert "hunter2" not in found


def test_the_error_carries_each_problem_as_data(toml: Write) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(toml("[log]\nlevel = 5\n"))
    (found,) = refused.value.problems
    assert found.where == "g.toml log.level"
    assert found.what == "must be one of debug, info, warning, error, not 5"
