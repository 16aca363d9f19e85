"""What people leave for a release in the store: JSON of the API, or one word typed by hand. Pure.

redis-cli RPUSH gray:route:chat:commands pause
"""

from __future__ import annotations

import typing
from collections.abc import Sequence

import msgspec

from gateway.release.machine.action import Step
from gateway.release.machine.status import MAX_COMMANDS, Command, Status, Verb
from gateway.release.machine.turn import NOTHING_SEEN, Turn

MOST_CHARACTERS = {"by": 128, "why": 500, "about": 500, "id": 64}  # 200 decisions hold them

MOST_WHY = 1000  # characters of why something could not be written

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
            commands.append(_cut(msgspec.json.decode(text, type=Command)))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            wrong.append(f"{word[:60]!a} is no command; there are: {', '.join(VERBS)}")
    return commands, wrong


def refused(status: Status, commands: Sequence[Command], now: float, why: str) -> Step:
    """The release after commands that it could not obey, for a reason that the store gave."""
    turn = Turn(status, None, now, NOTHING_SEEN)
    for command in commands:
        done = (*turn.status.commands_done, command.key)[-MAX_COMMANDS:]
        turn.set(commands_done=done)
        text = f"{command.verb} by {command.by} is refused: {why[:MOST_WHY].rstrip('.')}."
        turn.tell("refused", text, by=command.by)
    return Step(turn.status, tuple(turn.actions))


def abort_of_deleted(status: Status, now: float) -> Command:
    """What the controller says itself when there is no route left to release on."""
    why = f"route {status.route} was deleted"
    return Command(verb="abort", by="controller", at=now, why=why, id=f"gone-{status.release_id}")


def _cut(command: Command) -> Command:
    """The API cuts what it is given; whoever pushes by hand may write what they like."""
    short = {name: getattr(command, name)[:most] for name, most in MOST_CHARACTERS.items()}
    return msgspec.structs.replace(command, **short)
