"""The guides of `deploy`, read: their commands, their links, the settings they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli.entry import graygate

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
# The runbook's commands are run by a test of their own.
GUIDES = sorted(set(DEPLOY.rglob("*.md")) - {DEPLOY / "runbook.md"})


def commands(guide: Path) -> list[list[str]]:
    """The words of every line in a block of shell commands, without what it is redirected to."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```$", guide.read_text(), re.S | re.M):
        for line in block.splitlines():
            words = shlex.split(line.partition(" > ")[0], comments=True)
            if words:
                found.append(words)
    return found


def headings(file: Path) -> set[str]:
    """The anchors that links into a file may name."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def links(guide: Path) -> Iterator[tuple[Path, str]]:
    """File and anchor that each link leads to."""
    for target in re.findall(r"\]\(([^)]+)\)", guide.read_text()):
        path, _, anchor = target.partition("#")
        yield (guide.parent / path if path else guide), anchor


def check_ours(words: list[str]) -> None:
    """Fails when `graygate WORDS` names a command, an option or an argument that is not there."""
    command: click.Command = graygate
    context = click.Context(graygate, info_name="graygate")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        inner = command.get_command(context, name)
        assert inner is not None, f"there is no command {name}"
        command, context = inner, click.Context(inner, info_name=name, parent=context)
    given, rest, _ = command.make_parser(context).parse_args(list(words))
    assert not rest or isinstance(command, click.Group), f"too many words: {rest}"
    for parameter in command.params:
        value = given.get(parameter.name or "")
        # click has a mark of its own for what was not given.
        is_there = isinstance(value, str | list | tuple | bool) and value not in ((), [])
        assert is_there or not parameter.required, f"{parameter.name} is missing"
        kind = parameter.type
        if isinstance(kind, click.Choice) and is_there:
            assert given[parameter.name] in kind.choices, given[parameter.name]


def ours(words: list[str]) -> list[str] | None:
    """What follows `graygate` in a command, be it within another one; None = it is not in it."""
    for index, word in enumerate(words):
        is_program = word == "graygate" or word.endswith("/bin/graygate")
        is_started = index == 0 or words[index - 1] in ("--", "gateway")
        if is_program and is_started:
            return words[index + 1 :]
    return None
