from __future__ import annotations

import pytest

from gateway.config.environment import OTHER_VARIABLES, read_environment


def refusals(environ: dict[str, str]) -> list[str]:
    return [str(problem) for problem in read_environment(environ).problems]


def test_a_variable_sets_its_setting_by_the_type_of_it() -> None:
    layer = read_environment(
        {
            "GRAYGATE_LISTEN__PORT": "90",
            "GRAYGATE_REDIS__TRACKING": "no",
            "GRAYGATE_ROUTING__TRUSTED_PROXIES": "10.0.0.0/8,192.168.0.0/16",
            "PATH": "/bin",
        }
    )
    assert not layer.problems
    assert {key: given.value for key, given in layer.given.items()} == {
        "listen.port": 90,
        "redis.tracking": False,
        "routing.trusted_proxies": ("10.0.0.0/8", "192.168.0.0/16"),
    }
    assert layer.given["listen.port"].origin == "env GRAYGATE_LISTEN__PORT"


def test_the_short_name_of_the_store_is_an_alias() -> None:
    layer = read_environment({"GRAYGATE_REDIS_URL": "redis://store:6379/1"})
    assert layer.given["redis.url"].value == "redis://store:6379/1"
    assert layer.given["redis.url"].origin == "env GRAYGATE_REDIS_URL"


def test_the_alias_and_the_full_name_together_are_refused() -> None:
    both = {"GRAYGATE_REDIS_URL": "redis://a", "GRAYGATE_REDIS__URL": "redis://b"}
    (refusal,) = refusals(both)
    assert "is given twice" in refusal
    assert "GRAYGATE_REDIS_URL" in refusal
    assert "GRAYGATE_REDIS__URL" in refusal


def test_an_unknown_variable_is_refused_with_a_suggestion_and_without_its_value() -> None:
    assert refusals({"GRAYGATE_REDIS_PASSWORD": "hunter2", "GRAYGATE_ZZZZZ": "hunter2"}) == [
        "GRAYGATE_REDIS_PASSWORD: is not a variable Graygate knows; "
        "did you mean GRAYGATE_REDIS__PASSWORD?",
        "GRAYGATE_ZZZZZ: is not a variable Graygate knows",
    ]


def test_variables_that_are_no_settings_are_left_alone() -> None:
    layer = read_environment(dict.fromkeys(OTHER_VARIABLES, "anything"))
    assert not layer.problems
    assert not layer.given


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRAYGATE_SERVICE_HOST", "10.0.0.7"),
        ("GRAYGATE_SERVICE_PORT", "8080"),
        ("GRAYGATE_SERVICE_PORT_HTTP", "8080"),
        ("GRAYGATE_PORT", "tcp://10.0.0.7:8080"),
        ("GRAYGATE_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
        ("GRAYGATE_PORT_8080_TCP_PROTO", "tcp"),
        ("GRAYGATE_PORT_8080_TCP_PORT", "8080"),
        ("GRAYGATE_PORT_8080_TCP_ADDR", "10.0.0.7"),
        ("GRAYGATE_ADMIN_PORT", "tcp://10.0.0.8:8081"),
        ("GRAYGATE_REDIS_SERVICE_HOST", "10.0.0.9"),
        ("GRAYGATE_REDIS_PORT_6379_TCP", "tcp://10.0.0.9:6379"),
    ],
)
def test_the_addresses_kubernetes_adds_for_services_are_left_alone(
    variable: str, value: str
) -> None:
    layer = read_environment({variable: value})
    assert not layer.problems
    assert not layer.given


def test_a_port_that_a_person_wrote_is_not_taken_for_one_of_kubernetes() -> None:
    assert refusals({"GRAYGATE_ADMIN_PORT": "9000"}) == [
        "GRAYGATE_ADMIN_PORT: is not a variable Graygate knows; did you mean GRAYGATE_ADMIN__PORT?"
    ]


def test_an_empty_variable_is_a_value_and_refused_where_it_is_none() -> None:
    assert read_environment({"GRAYGATE_PROCESS__STATE_DIR": ""}).given["process.state_dir"]
    assert refusals({"GRAYGATE_LISTEN__PORT": ""}) == [
        "GRAYGATE_LISTEN__PORT: must be a whole number from 0 to 65535, not ''"
    ]


def test_a_variable_named_with_a_line_break_stays_on_one_line() -> None:
    assert refusals({"GRAYGATE_A\nB": "1"}) == [
        '"GRAYGATE_A\\nB": is not a variable Graygate knows'
    ]
