"""A channel that notifications go to, as `[[notify]]` of the settings file describes it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret


def _told(description: str) -> Meta:
    return Meta(description=description)


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One place where notifications go."""

    name: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")],
        _told("what plans call it"),
    ]
    kind: Annotated[
        Literal["webhook", "slack", "dingtalk", "feishu", "wecom", "email"],
        _told("how it is spoken to"),
    ]
    url: Annotated[Secret, _told("where to post; who knows that of a chat may post to it")] = (
        Secret()
    )
    secret: Annotated[Secret, _told("signs what is sent: webhook, dingtalk, feishu")] = Secret()
    events: Annotated[tuple[str, ...], _told("events it is told of; none = all")] = ()
    host: Annotated[str, _told("email: SMTP server")] = ""
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)], _told("email: its port; 0 = the usual one")
    ] = 0
    security: Annotated[
        Literal["starttls", "tls", "none"], _told("email: how the connection is kept private")
    ] = "starttls"
    username: Annotated[str, _told("email: user; empty = without logging in")] = ""
    password: Annotated[Secret, _told("email: password of the user")] = Secret()
    sender: Annotated[str, _told("email: address it comes from")] = ""
    to: Annotated[tuple[str, ...], _told("email: addresses it goes to")] = ()
