"""`graygate redis`: commands to the store, for people without redis-cli."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from gateway.cli.exits import ExitCode
from gateway.cli.redis_text import printed, raw, split_line
from gateway.config.catalog import catalog
from gateway.config.flags import Flag
from gateway.config.load import load
from gateway.config.settings import Redis
from gateway.errors import StoreError, StoreUnavailable, UsageError
from gateway.process.runfile import RUN_FILE, read_run_file
from gateway.state.address import open_link
from gateway.state.link import Link

PATIENCE_SECONDS = 30.0  # for a command that may have much to do
BLOCKED_SECONDS = 86_400.0  # for a command whose business is to wait
BLOCKING = frozenset(
    (
        *("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"),
        *("XREAD", "XREADGROUP", "WAIT", "WAITAOF", "DEBUG"),
    )
)
# After these the store sends what nobody asked for, or nothing at all.
ENDLESS = frozenset(("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC"))
FAREWELLS = frozenset(("QUIT", "EXIT"))


@click.command("redis", context_settings={"allow_interspersed_args": False})
# Not all the flags of the settings: --port would be taken for the store's.
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="settings file; else $GRAYGATE_CONFIG, else config/gateway.toml",
)
@click.option("--url", "--redis", "url", metavar="URL", help=catalog()["redis.url"].help)
@click.option(
    "--raw/--no-raw", "is_raw", default=None, help="values alone; default when not on a terminal"
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def redis(
    config: Path | None, url: str | None, is_raw: bool | None, command: tuple[str, ...]
) -> ExitCode:
    """Send commands to the store and print its replies, as redis-cli does.

    \b
    graygate redis HSET gray:route:chat:weights v2 10
    graygate redis < commands.txt

    Without a command it reads them from standard input, one on a line. The store is the one of
    the settings; where `graygate up` runs in this folder and no store is named, it is that one's.
    """
    settings = store_settings(config, url)
    out = _Output(is_raw if is_raw is not None else not sys.stdout.isatty())
    with _Session(settings, out) as session:
        if command:
            lines: Iterable[list[bytes] | None] = [[_argument(word) for word in command]]
        elif sys.stdin.isatty():
            lines = _typed(session)
        else:
            lines = _read(sys.stdin.buffer)
        return session.run(lines, keeps_going=not command and sys.stdin.isatty())


def store_settings(config: Path | None, url: str | None) -> Redis:
    """The settings of the store: named ones first, else those of a gateway that is up here."""
    flags = {} if url is None else {"redis.url": Flag("--url", url)}
    loaded = load(config, os.environ, flags)
    settings = loaded.settings.redis
    if loaded.origins["redis.url"] == "default":
        running = read_run_file(RUN_FILE)
        if running is not None and running.store_url:
            return msgspec.structs.replace(settings, url=running.store_url)
    return settings


class _Output:
    """Where replies go: values to standard output; bare errors where no program reads values."""

    def __init__(self, is_raw: bool) -> None:
        self._is_raw = is_raw

    def show(self, words: Sequence[bytes], reply: object) -> None:
        is_error = isinstance(reply, StoreError)
        text = raw(reply) if self._is_raw and not is_error else printed(words, reply)
        click.echo(text, nl=False, err=self._is_raw and is_error)

    def complain(self, text: str) -> None:
        click.echo(text, err=True)


class _Session:
    """One user at one store: connects when needed, and again after the connection has ended."""

    def __init__(self, settings: Redis, out: _Output) -> None:
        self._settings = settings
        self._out = out
        self._runner = asyncio.Runner()
        self._link: Link | None = None

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            if self._link is not None:
                self._runner.run(self._close(self._link))

    def run(self, lines: Iterable[list[bytes] | None], *, keeps_going: bool) -> ExitCode:
        """Sends each line's command; FAILED when one of them was refused.

        With `keeps_going`, a person sits there: a lost store is told, and tried again next time.
        """
        code = ExitCode.OK
        for words in lines:
            if words is not None and _name(words) in FAREWELLS:
                break
            try:
                if not self._run_one(words):
                    code = ExitCode.FAILED
            except (StoreError, UsageError) as error:
                if not keeps_going:
                    raise
                self._out.complain(str(error))
        # What a person saw on the screen is no failure of the conversation.
        return ExitCode.OK if keeps_going else code

    def prompt(self) -> str:
        try:
            return f"{self._connected().address}> "
        except StoreError as error:
            self._out.complain(str(error))
            return "not connected> "

    def _run_one(self, words: list[bytes] | None) -> bool:
        if words is None:
            self._out.complain("Invalid argument(s): a quote is not closed, or text follows it")
            return False
        name = _name(words)
        if name in ENDLESS:
            raise UsageError(f"{name} never ends, so it needs a client of its own: use redis-cli")
        link = self._connected()
        seconds = BLOCKED_SECONDS if name in BLOCKING else PATIENCE_SECONDS
        try:
            reply = self._runner.run(_ask(link, words, seconds))
        except StoreUnavailable:
            if name == "SHUTDOWN":
                return True  # it did as it was told, and has no connection left to say so
            raise
        self._out.show(words, reply)
        return not isinstance(reply, StoreError)

    def _connected(self) -> Link:
        if self._link is None or self._link.is_closed:
            had_one = self._link is not None
            self._link = self._runner.run(_open(self._settings))
            if had_one:  # a SELECT or MULTI went with the old connection: that must not surprise
                address = self._link.address
                self._out.complain(f"connected anew to {address}, database {address.db}")
        return self._link

    @staticmethod
    async def _close(link: Link) -> None:
        link.close()
        await link.wait_closed()


async def _open(settings: Redis) -> Link:
    link = await open_link(settings)
    if link.protocol == 3:
        # Replies in the shapes that redis-cli prints; a proxy that refuses this does no harm.
        with contextlib.suppress(StoreError):
            await link.call("HELLO", 2)
    return link


async def _ask(link: Link, words: list[bytes], seconds: float) -> object:
    """The reply, be it an error; raises when the connection ended instead."""
    try:
        return await link.call(*words, timeout_seconds=seconds)
    except StoreError as error:
        if not error.reply:
            raise
        return error


def _typed(session: _Session) -> Iterator[list[bytes] | None]:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() its line editing and history
    while True:
        try:
            line = input(session.prompt())
        except EOFError:
            click.echo()
            return
        except KeyboardInterrupt:
            return
        yield from _parsed(_argument(line))


def _read(stream: BinaryIO) -> Iterator[list[bytes] | None]:
    for line in stream:
        yield from _parsed(line)


def _parsed(line: bytes) -> Iterator[list[bytes] | None]:
    """The words of a line; nothing for an empty one, None for one that cannot be taken apart."""
    try:
        words = split_line(line)
    except ValueError:
        yield None
        return
    if words:
        yield words


def _name(words: list[bytes]) -> str:
    return words[0].decode(errors="replace").upper()


def _argument(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
