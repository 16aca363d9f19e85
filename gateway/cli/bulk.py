"""`whitelist import|export|search` and the same of the blacklist: lists of a million ids."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TypeVar

import click
import msgspec

from gateway.cli.client import Gateway, error_of
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, why_flag, yes_flag
from gateway.cli.shown import count, plain, print_json
from gateway.cli.streaming import lines_of, upload
from gateway.errors import GatewayUnreachable, GraygateError, UsageError
from gateway.state.id_lines import IdLines

PIECE_BYTES = 64 * 1024
BAR_COLUMNS = 30

R = TypeVar("R")


class _Problem(msgspec.Struct):
    code: str
    detail: str


class _Step(msgspec.Struct):
    """One line of what the gateway tells of an import."""

    done: int = 0
    removed: int = 0
    revision: int = 0
    changed: bool = False
    finished: bool = False
    error: _Problem | None = None


class _Found(msgspec.Struct):
    ids: list[str]
    next: str | None


def _import_flags(command: Callable[..., R]) -> Callable[..., R]:
    command = click.argument("file", metavar="FILE|-")(command)
    command = click.option(
        "--replace", "is_replacing", is_flag=True, help="take off the list who is not in the file"
    )(command)
    return gateway_flags(why_flag(yes_flag(command)))


def _export_flags(command: Callable[..., R]) -> Callable[..., R]:
    command = click.argument("file", metavar="[FILE|-]", default="-")(command)
    return gateway_flags(command)


def _search_flags(command: Callable[..., R]) -> Callable[..., R]:
    command = click.argument("text")(command)
    command = click.option(
        "--contains", "is_anywhere", is_flag=True, help="anywhere in the id, not only at its front"
    )(command)
    command = click.option(
        "--most", type=click.IntRange(1, 100_000), default=1000, show_default=True,
        help="how many ids to print",
    )(command)  # fmt: skip
    return gateway_flags(command)


@click.command("import")
@click.argument("route")
@click.argument("version")
@_import_flags
def import_whitelist(
    gateway: Gateway, as_json: bool, why: str, is_sure: bool, is_replacing: bool,
    route: str, version: str, file: str,
) -> None:  # fmt: skip
    """Put the ids of a file on the list, one a line; up to millions, in portions."""
    _import(gateway, as_json, (route, "whitelist", version), file, why, is_replacing, is_sure)


@click.command("import")
@click.argument("route")
@_import_flags
def import_blacklist(
    gateway: Gateway, as_json: bool, why: str, is_sure: bool, is_replacing: bool,
    route: str, file: str,
) -> None:  # fmt: skip
    """Put the ids of a file on the list, one a line; up to millions, in portions."""
    _import(gateway, as_json, (route, "blacklist"), file, why, is_replacing, is_sure)


@click.command("export")
@click.argument("route")
@click.argument("version")
@_export_flags
def export_whitelist(gateway: Gateway, as_json: bool, route: str, version: str, file: str) -> None:
    """Write every id on the list to a file, one a line, in no order."""
    _export(gateway, as_json, (route, "whitelist", version), file)


@click.command("export")
@click.argument("route")
@_export_flags
def export_blacklist(gateway: Gateway, as_json: bool, route: str, file: str) -> None:
    """Write every id on the list to a file, one a line, in no order."""
    _export(gateway, as_json, (route, "blacklist"), file)


@click.command("search")
@click.argument("route")
@click.argument("version")
@_search_flags
def search_whitelist(
    gateway: Gateway, as_json: bool, most: int, is_anywhere: bool,
    route: str, version: str, text: str,
) -> None:  # fmt: skip
    """Print the ids on the list that begin with a text."""
    _search(gateway, as_json, (route, "whitelist", version), text, is_anywhere, most)


@click.command("search")
@click.argument("route")
@_search_flags
def search_blacklist(
    gateway: Gateway, as_json: bool, most: int, is_anywhere: bool, route: str, text: str
) -> None:
    """Print the ids on the list that begin with a text."""
    _search(gateway, as_json, (route, "blacklist"), text, is_anywhere, most)


# Import


def _import(
    gateway: Gateway, as_json: bool, path: tuple[str, ...], file: str, why: str,
    is_replacing: bool, is_sure: bool,
) -> None:  # fmt: skip
    if is_replacing:
        require_somebody_to_ask(is_sure)
    with _opened(file) as source:
        # Judged as a whole before the first id is sent, where that can be read twice.
        total = _count(source, file) if source.seekable() else 0
        if is_replacing and not is_sure:
            ask(f"Take off {' '.join(path)} whoever is not among the {total} ids?")
        last = _send(gateway, path, _pieces(source), why, is_replacing, _Bar(total))
    if as_json:
        print_json(msgspec.json.encode(last))
        return
    told = f"{count(last.done, 'id', 'ids')} of the file on the list"
    if last.removed:
        told += f", {count(last.removed, 'other', 'others')} taken off"
    as_before = "" if last.changed else " as before"
    click.echo(f"{' '.join(path)}: {told}{as_before}; revision {last.revision}.")


def _send(
    gateway: Gateway, path: tuple[str, ...], pieces: Iterator[bytes], why: str,
    is_replacing: bool, bar: _Bar,
) -> _Step:  # fmt: skip
    """The last line of the answer; an error says how far it got, and how to go on."""
    last = _Step()

    def on_line(line: bytes) -> bool:
        nonlocal last
        try:
            last = msgspec.json.decode(line, type=_Step)
        except (msgspec.DecodeError, UnicodeError):
            raise GraygateError(
                f"The gateway at {gateway.url} answers in a form that this command does not know; "
                "use the graygate of the gateway's own version."
            ) from None
        bar.show(last.done)
        return last.error is None and not last.finished

    try:
        upload(
            gateway, "PUT" if is_replacing else "POST", "routes", *path, "ids",
            pieces=pieces, takes="application/x-ndjson", query={"why": why} if why else None,
            on_line=on_line,
        )  # fmt: skip
    except GraygateError as error:
        if not last.done:
            raise
        raise type(error)(f"{error} {_how_far(last)}") from None
    finally:
        bar.end()
    if last.error is not None:
        raise error_of(last.error.code, f"{last.error.detail} {_how_far(last)}")
    if not last.finished:
        raise GatewayUnreachable(
            f"The gateway at {gateway.url} gave no whole answer. {_how_far(last)}"
        )
    return last


def _how_far(last: _Step) -> str:
    return (
        f"The first {last.done} ids are on the list, revision {last.revision}; "
        "send the whole file again, what is done already does no harm."
    )


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as opened:
        try:
            source = opened.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
        yield source


def _count(source: IO[bytes], file: str) -> int:
    """How many ids there are; UsageError names the line of one that cannot be."""
    lines = IdLines("standard input" if file == "-" else file)
    start = source.tell()
    total = sum(len(lines.feed(piece)) for piece in _pieces(source)) + len(lines.finish())
    if not total:
        raise UsageError(f"{file} holds no id; it takes one a line.")
    source.seek(start)
    return total


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    try:
        while piece := source.read(PIECE_BYTES):
            yield piece
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}.") from None


class _Bar:
    """How far it got, on a terminal; elsewhere nothing."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._is_shown = sys.stderr.isatty()
        self._was_shown = False

    def show(self, done: int) -> None:
        if not self._is_shown:
            return
        self._was_shown = True
        text = f"{done} ids"
        if self._total:
            filled = min(BAR_COLUMNS, BAR_COLUMNS * done // self._total)
            bar = "#" * filled + "." * (BAR_COLUMNS - filled)
            text = f"[{bar}] {done} of {self._total} ids"
        click.echo(f"\r{text}", err=True, nl=False)

    def end(self) -> None:
        if self._was_shown:
            click.echo(err=True)


# Export


def _export(gateway: Gateway, as_json: bool, path: tuple[str, ...], file: str) -> None:
    expected = 0

    def on_head(headers: http.client.HTTPMessage) -> None:
        nonlocal expected
        text = headers.get("X-Graygate-Count", "")
        expected = int(text) if text.isdecimal() else 0

    lines = lines_of(gateway, "routes", *path, "ids", takes="text/plain", on_head=on_head)
    if file == "-":
        written = _write(lines, sys.stdout.buffer, lambda: _Bar(0))
    else:
        written = _to_file(lines, Path(file), lambda: _Bar(expected))
    if as_json and file != "-":
        print_json(msgspec.json.encode({"file": file, "ids": written}))
    elif file != "-":
        click.echo(f"{' '.join(path)}: {count(written, 'id', 'ids')} in {file}.")


def _to_file(lines: Iterator[bytes], file: Path, bar: Callable[[], _Bar]) -> int:
    """Whole or not at all: a file that is there is replaced by a complete one."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with beside.open("wb") as out:
            written = _write(lines, out, bar)
        beside.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        beside.unlink(missing_ok=True)
    return written


def _write(lines: Iterator[bytes], out: IO[bytes], bar: Callable[[], _Bar]) -> int:
    written = 0
    shown: _Bar | None = None
    for line in lines:
        out.write(line)
        written += 1
        if written % 20_000 == 0 and out is not sys.stdout.buffer:
            shown = shown or bar()
            shown.show(written)
    out.flush()
    if shown is not None:
        shown.end()
    return written


# Search


def _search(
    gateway: Gateway, as_json: bool, path: tuple[str, ...], text: str, is_anywhere: bool, most: int
) -> None:
    if not text:
        raise click.UsageError("name a text to look for")
    found: dict[str, None] = {}
    query: dict[str, str | int] = {"contains" if is_anywhere else "prefix": text, "most": most}
    while True:
        part = gateway.get("routes", *path, query=query).read(_Found)
        found.update(dict.fromkeys(part.ids))
        if part.next is None or len(found) >= most:
            break
        query["next"] = part.next
    ids, has_more = sorted(found)[:most], part.next is not None or len(found) > most
    if as_json:
        print_json(msgspec.json.encode({"ids": ids, "has_more": has_more}))
        return
    is_seen = sys.stdout.isatty()
    for unit in ids:
        click.echo(plain(unit) if is_seen else unit, color=True)
    if has_more:
        click.echo(f"There are more than {len(ids)}; --most shows more.", err=True)
