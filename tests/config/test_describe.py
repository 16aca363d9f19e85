from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from gateway.config.catalog import catalog, sections
from gateway.config.describe import render_sample, render_table, rows, show, toml_value
from gateway.config.flags import Flag
from gateway.config.settings import Settings
from tests.config.loading import loaded

SAMPLE = Path(__file__).parents[2] / "config" / "gateway.toml"
REFRESH = "the settings have changed: write render_sample() to config/gateway.toml"


def test_there_is_a_row_for_every_setting() -> None:
    assert [row.key for row in rows()] == list(catalog())
    port = rows()[1]
    assert port.key == "listen.port"
    assert port.variable == "GRAYGATE_LISTEN__PORT"
    assert port.takes == "a whole number from 0 to 65535"
    assert port.default == "8080"
    assert port.help == "data port, where clients send their requests"


def test_the_sample_in_the_repository_is_the_rendered_one() -> None:
    assert SAMPLE.read_text() == render_sample(), REFRESH


def test_the_sample_changes_nothing_as_it_is() -> None:
    Path("sample.toml").write_text(render_sample())
    result = loaded(Path("sample.toml"))
    assert result.settings == Settings()
    assert set(result.origins.values()) == {"default"}


def uncommented() -> str:
    lines = render_sample().splitlines()
    return "\n".join(line if line.startswith("# ") else line.removeprefix("#") for line in lines)


def test_every_line_of_the_sample_can_be_taken_over_and_is_the_default() -> None:
    Path("sample.toml").write_text(uncommented())
    result = loaded(Path("sample.toml"))
    assert msgspec.structs.replace(result.settings, notify=()) == Settings()
    assert [channel.name for channel in result.settings.notify] == ["team"]  # it shows how
    assert set(result.origins.values()) == {"file sample.toml"}
    assert set(tomllib.loads(uncommented())) == {*sections(), "notify"}


def test_no_line_of_the_sample_is_wider_than_a_screen() -> None:
    assert max(len(line) for line in render_sample().splitlines()) <= 100


def test_the_table_has_a_line_for_every_setting() -> None:
    table = render_table()
    for row in rows():
        line = next(line for line in table.splitlines() if line.startswith(f"| `{row.key}` |"))
        assert line.count(" | ") == 4
        assert f"`{row.variable}`" in line
        assert row.help in line
    assert "`GRAYGATE_REDIS_URL`" in table
    assert "`GRAYGATE_CONFIG`" in table
    assert "`GRAYGATE_REDIS__PASSWORD_FILE=" in table


def test_show_tells_value_and_origin_of_every_setting() -> None:
    result = loaded(
        environ={"GRAYGATE_REDIS__PASSWORD": "hunter2", "GRAYGATE_REDIS__TRACKING": "no"},
        flags={"listen.port": Flag("--port", "90")},
    )
    effective = {row.key: row for row in show(result)}
    assert list(effective) == list(catalog())
    assert effective["listen.port"].text == "90"
    assert effective["listen.port"].origin == "flag --port"
    assert effective["redis.tracking"].text == "false"
    assert effective["redis.password"].text == "***"
    assert effective["redis.password"].value == "***"
    assert effective["admin.token"].text == '""'
    assert effective["routing.trusted_proxies"].text == '["private"]'


@pytest.mark.parametrize(
    "value", ["a", 'quo"te\\', "\x1b\n", "gr\u00fcn", 1, 1.5, True, ["a", "b"], []]
)
def test_a_value_is_written_as_the_file_takes_it(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
