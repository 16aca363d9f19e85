"""What people leave for a release in the store: JSON of the API, or one word typed by hand. Pure.

redis-cli RPUSH gray:route:chat:commands pause
"""

from __future__ import annotations

import typing
from collections.abc import Sequence

import msgspec

from gateway.release.machine.status import Command, Verb

VERBS: tuple[str, ...] = typing.get_args(Verb)


def read_commands(raw: Sequence[bytes], now: float, step: int) -> tuple[list[Command], list[str]]:
    """The commands, oldest first, and a sentence for each that cannot be understood.

    A word typed by hand gets an id out of the step it was found at: read again after a crash, with
    nothing written in between, it is the same command.
    """
    commands: list[Command] = []
    wrong: list[str] = []
    for number, text in enumerate(raw):
        word = text.decode(errors="replace").strip()
        if word in VERBS:
            verb = typing.cast("Verb", word)
            command = Command(verb=verb, by="redis", at=now, id=f"typed-{step}-{number}")
            commands.append(command)
            continue
        try:
            commands.append(msgspec.json.decode(text, type=Command))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            wrong.append(f"{word[:60]!a} is no command; there are: {', '.join(VERBS)}")
    return commands, wrong
