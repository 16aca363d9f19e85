"""The channels of a settings file: `[[notify]]`, any number of them.

They have no variables and no flags: a list of tables has no name that one could be called by. A
secret may be named by a file that holds it, as everywhere: `url_file`, `secret_file`.
"""

from __future__ import annotations

import re
import typing
from pathlib import Path

from msgspec import Meta

from gateway.config import kinds
from gateway.config.catalog import FILE_SUFFIX
from gateway.config.channel import Channel
from gateway.config.layer import Layer, plain
from gateway.config.secret_file import read_secret

SECTION = "notify"
MOST_CHANNELS = 50

SECRETS = ("url", "secret", "password")
_URL = re.compile(r"https?://[^\s/?#@]+(:[0-9]+)?([/?]\S*)?")
_ADDRESS = re.compile(r"[^\s@<>,]+@[^\s@<>,]+")


def read_channels(path: Path, value: object, layer: Layer) -> tuple[Channel, ...]:
    """The channels of a settings file; what is wrong with them goes to `layer`."""
    where = f"{path} {SECTION}"
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        layer.refuse(where, f"must be tables that each start with [[{SECTION}]]")
        return ()
    if len(value) > MOST_CHANNELS:
        layer.refuse(where, f"are more than {MOST_CHANNELS} channels")
        return ()
    channels: list[Channel] = []
    for number, table in enumerate(value, 1):
        channel = _read(f"{where} number {number}", table, layer)
        if channel is not None and any(channel.name == other.name for other in channels):
            layer.refuse(f"{where} number {number}", f"is another one called {channel.name}")
        elif channel is not None:
            channels.append(channel)
    return tuple(channels)


def channel_help(name: str) -> str:
    """The line of help of a channel's field."""
    hint = typing.get_type_hints(Channel, include_extras=True)[name]
    metas = (meta for meta in typing.get_args(hint)[1:] if isinstance(meta, Meta))
    return next(meta.description for meta in metas if meta.description)


def _read(where: str, table: dict[str, object], layer: Layer) -> Channel | None:
    hints = typing.get_type_hints(Channel, include_extras=True)
    secrets = {f"{name}{FILE_SUFFIX}": name for name in SECRETS}
    found: dict[str, object] = {}
    before = len(layer.problems)
    for given, value in table.items():
        name = secrets.get(given, given)
        try:
            if name not in hints:
                raise ValueError(f"is not a setting of a channel; there are: {', '.join(hints)}")
            if name in found:
                raise ValueError(f"is given twice, as {name} and {name}{FILE_SUFFIX}")
            if given in secrets:
                found[name] = read_secret(str(value))
            else:
                found[name] = kinds.accept(hints[name], value)
        except ValueError as error:
            layer.refuse(f"{where} {plain(given)}", str(error))
    for name in ("name", "kind"):
        if name not in found and len(layer.problems) == before:
            layer.refuse(where, f"needs {name}")
    if len(layer.problems) > before:
        return None
    channel = Channel(**found)  # type: ignore[arg-type]  # accepted field by field
    for problem in _wrong(channel):
        layer.refuse(f"{where} ({channel.name})", problem)
    return channel if len(layer.problems) == before else None


def _wrong(channel: Channel) -> list[str]:
    """What its fields must be among themselves."""
    if channel.kind == "email":
        problems = [] if channel.host else ["needs host, the SMTP server"]
        if not _ADDRESS.fullmatch(channel.sender):
            problems.append("needs sender, as in graygate@example.com")
        if not channel.to or not all(_ADDRESS.fullmatch(address) for address in channel.to):
            problems.append('needs to, as in ["team@example.com"]')
        if channel.username and channel.security == "none":
            problems.append("would send the password in the clear; use security starttls or tls")
        return problems
    if not _URL.fullmatch(channel.url.reveal()):
        return ["needs url, an http:// or https:// URL"]
    if channel.secret and channel.kind in ("slack", "wecom"):
        return [f"has a secret, but {channel.kind} knows no signature; its URL is the secret"]
    return []
