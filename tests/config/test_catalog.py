from __future__ import annotations

from gateway.config.catalog import catalog, sections
from gateway.config.secret import Secret
from gateway.config.settings import Settings


def test_every_field_of_every_section_is_in_the_catalog() -> None:
    settings = Settings()
    fields = [
        f"{section}.{name}"
        for section in settings.__struct_fields__
        if section != "notify"  # a list of tables; see test_channels.py
        for name in getattr(settings, section).__struct_fields__
    ]
    assert list(catalog()) == fields


def test_the_default_is_the_one_of_the_struct() -> None:
    settings = Settings()
    for setting in catalog().values():
        assert setting.default == getattr(getattr(settings, setting.section), setting.name)


def test_every_setting_and_section_has_one_line_of_help() -> None:
    texts = [setting.help for setting in catalog().values()]
    texts += [section.help for section in sections().values()]
    assert all(text.strip() == text and text and "\n" not in text for text in texts)


def test_a_setting_is_named_by_section_and_key_in_the_environment() -> None:
    setting = catalog()["process.drain_seconds"]
    assert setting.variables == ("GRAYGATE_PROCESS__DRAIN_SECONDS",)


def test_a_secret_may_also_be_named_by_a_file() -> None:
    setting = catalog()["redis.password"]
    assert setting.is_secret
    assert setting.keys == ("redis.password", "redis.password_file")
    assert setting.variables == ("GRAYGATE_REDIS__PASSWORD", "GRAYGATE_REDIS__PASSWORD_FILE")


def test_what_is_called_password_token_or_key_is_a_secret() -> None:
    named = {key for key in catalog() if key.endswith(("password", "token", "override_key"))}
    assert named
    assert all(isinstance(catalog()[key].default, Secret) for key in named)


def test_no_two_settings_share_a_name() -> None:
    keys = [key for setting in catalog().values() for key in setting.keys]
    variables = [name for setting in catalog().values() for name in setting.variables]
    assert len(set(keys)) == len(keys)
    assert len(set(variables)) == len(variables)
