from __future__ import annotations

import pytest

from gateway.config.catalog import sections
from gateway.config.suggest import section_meant, setting_meant, variable_meant


@pytest.mark.parametrize(
    ("section", "name", "meant"),
    [
        ("listen", "prot", "listen.port"),
        ("listen", "Port", "listen.port"),
        ("process", "worker", "process.workers"),
        ("process", "drain-seconds", "process.drain_seconds"),
        ("redis", "pasword", "redis.password"),
        ("redis", "passwordfile", "redis.password_file"),
        ("redis", "tls_ca_", "redis.tls_ca"),
        ("listen", "workers", "process.workers"),
        ("log", "token", "admin.token"),
        ("proccess", "workers", "process.workers"),
        ("lisen", "hots", "listen.host"),
    ],
)
def test_a_misspelt_or_misplaced_setting_is_recognised(section: str, name: str, meant: str) -> None:
    assert setting_meant(section, name) == f"; did you mean {meant}?"


def test_a_name_that_two_sections_have_is_offered_for_both() -> None:
    assert setting_meant("log", "port") == "; did you mean listen.port or admin.port?"


def test_a_misspelt_section_is_recognised() -> None:
    assert section_meant("lisen", sections()) == "; did you mean [listen]?"


def test_a_setting_outside_of_any_section_is_shown_its_place() -> None:
    assert section_meant("workers", sections()) == "; did you mean workers under [process]?"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("GRAYGATE_LISTEN_PORT", "GRAYGATE_LISTEN__PORT"),
        ("GRAYGATE_listen__port", "GRAYGATE_LISTEN__PORT"),
        ("GRAYGATE_LISTEN__PROT", "GRAYGATE_LISTEN__PORT"),
        ("GRAYGATE_REDIS__PASWORD_FILE", "GRAYGATE_REDIS__PASSWORD_FILE"),
        ("GRAYGATE_REDIS_PASSWORD", "GRAYGATE_REDIS__PASSWORD"),
        ("GRAYGATE_PROCESS__WORKER", "GRAYGATE_PROCESS__WORKERS"),
    ],
)
def test_a_misspelt_variable_is_recognised(variable: str, meant: str) -> None:
    assert variable_meant(variable) == f"; did you mean {meant}?"


def test_nothing_is_suggested_for_what_is_like_nothing() -> None:
    assert setting_meant("redis", "zzzzz") == ""
    assert section_meant("zzzzz", sections()) == ""
    assert variable_meant("GRAYGATE_ZZZZZ") == ""
