"""Whole lists as streams of text, one id a line: in, out, and what is on them by a part of it.

What comes in is written in portions, each with a revision of its own, while the rest is still on
its way: a connection that breaks leaves what was written, the history says so, and sending all of
it again does no harm. To replace a list, all is added first and the others are taken off then: who
stays on the list is on it all the time, and a broken connection has taken nobody off.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from itertools import islice

import msgspec
from aiohttp import web

from gateway.admin.calls import author, expected_revision, held_route, must_exist, route_name
from gateway.admin.context import CONTEXT
from gateway.admin.lists import known_version, list_name
from gateway.admin.problem import BadBody, WrongMedia
from gateway.admin.roles import PRINCIPAL
from gateway.errors import (
    ConflictError,
    ConsentError,
    GraygateError,
    RefusedError,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from gateway.routing.lists import PackedTable, TableBuilder, list_in_words
from gateway.state.audit import Noted
from gateway.state.history import Delta
from gateway.state.id_lines import IdLines, wrong_with
from gateway.state.members import MAX_IDS
from gateway.state.raw import RouteState
from gateway.state.reader import of_other_type
from gateway.state.walk import walk
from gateway.state.write import IDS_PER_REVISION, Author, Change, Written, list_key

log = logging.getLogger("graygate.admin")

TEXT = "text/plain"
LINES = "application/x-ndjson"
PATIENCE_SECONDS = 10.0  # with a store that is away
AGAIN_SECONDS = 0.5
SLICE_IDS = 1000  # before others run again
FIRST_IDS = 20_000  # of an export are looked at before it begins, so that it can still be refused

RUNNING = web.AppKey("imports", set[str])  # lists that are being imported


async def add(request: web.Request) -> web.StreamResponse:
    """Put all ids of the body on the list; answers with a JSON line for each portion."""
    return await _import(request, is_replacing=False)


async def replace(request: web.Request) -> web.StreamResponse:
    """The same, and take off the list whoever is not in the body; `?empty=yes` lets that be all."""
    return await _import(request, is_replacing=True)


async def export(request: web.Request) -> web.StreamResponse:
    """Every id on the list as the store holds it, in no order.

    Of ids that come and go meanwhile some may be missing, and one may come twice.
    """
    held = held_route(request)
    known_version(request, held)
    store = request.app[CONTEXT].store
    key = list_key(store.keys, list_name(request))
    link = await store.link()
    try:
        count = await link.call("SCARD", key)
    except StoreError as error:
        raise of_other_type(error, key, "set") from None
    out = web.StreamResponse(headers={"Content-Type": TEXT, "Cache-Control": "no-store"})
    out.headers["X-Graygate-Count"] = str(count)
    lines = _lines(walk(store.link, key), key)
    first: list[bytes] = []
    if request.method != "HEAD":
        async for line in lines:
            first.append(line)
            if len(first) * SLICE_IDS >= FIRST_IDS:
                break
    await out.prepare(request)
    if request.method == "HEAD":
        return out
    try:
        await out.write(b"".join(first))
        async for line in lines:
            await out.write(line)
        await out.write_eof()
    except ConnectionError:
        pass  # who listened has enough
    except (StoreError, RefusedError) as error:
        # Half of it must not look like all of it.
        log.warning("An export broke off: %s", error)
        if request.transport is not None:
            request.transport.abort()
    return out


async def _lines(slices: AsyncIterator[tuple[str, list[bytes]]], key: str) -> AsyncIterator[bytes]:
    """One id a line; RefusedError for an id that would be read back as another one."""
    async for _, ids in slices:
        for unit in ids:
            if wrong := wrong_with(unit):
                raise RefusedError(
                    f"{key} holds the id {unit[:64].decode(errors='replace')!a}, which {wrong}: "
                    "read back it would be another one. Take it out with SREM first."
                )
        yield b"".join(unit + b"\n" for unit in ids)


async def _import(request: web.Request, *, is_replacing: bool) -> web.StreamResponse:
    if request.content_type != TEXT:
        raise WrongMedia("Send one id a line with Content-Type: text/plain.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WrongMedia("Send the ids as they are, without Content-Encoding.")
    name, running = list_name(request), request.app[RUNNING]
    if name in running:
        raise ConflictError(
            f"Ids are being imported into {list_in_words(name)}; wait for that to end."
        )
    running.add(name)
    try:
        return await _Import(request, name, is_replacing).run()
    finally:
        running.discard(name)


class _Import:
    """One import on its way."""

    def __init__(self, request: web.Request, name: str, is_replacing: bool) -> None:
        self._request = request
        self._name = name
        self._is_replacing = is_replacing
        self._writer = request.app[CONTEXT].store.writer
        self._author = author(request, request.query.get("why", ""))
        self._out: web.StreamResponse | None = None
        self._builder = TableBuilder(SLICE_IDS)
        self._expected = expected_revision(request)
        self._part = 0
        self._done = 0  # ids of the body that are on the list now
        self._removed = 0
        self._written = Written(0, changed=False)

    async def run(self) -> web.StreamResponse:
        """What goes wrong before anything was written is a problem as any other; then a line."""
        try:
            await self._take_in()
            if self._is_replacing:
                await self._take_off(await self._table())
            await self._tell(
                {
                    "finished": True,
                    "done": self._done,
                    "removed": self._removed,
                    "revision": self._written.revision,
                    "changed": self._written.changed,
                }
            )
        except GraygateError as error:
            if self._part:
                self._note(error)
            if self._out is None:
                raise
            problem = {"code": error.code, "detail": str(error), "status": error.status}
            await self._tell(
                {
                    "error": problem,
                    "done": self._done,
                    "removed": self._removed,
                    "revision": self._written.revision,
                }
            )
        assert self._out is not None
        with suppress(ConnectionError):  # it has gone; the history tells what was done
            await self._out.write_eof()
        return self._out

    async def _take_in(self) -> None:
        waiting: list[bytes] = []
        async for ids in _ids(self._request):
            waiting += ids
            while len(waiting) > IDS_PER_REVISION:  # so that at the end there is always some
                await self._add(waiting[:IDS_PER_REVISION], is_last=False)
                del waiting[:IDS_PER_REVISION]
        if not waiting and self._request.query.get("empty") != "yes":
            raise BadBody("The body holds no id; it takes one a line.")
        await self._add(waiting, is_last=True)

    async def _add(self, ids: list[bytes], *, is_last: bool) -> None:
        if self._done + len(ids) > MAX_IDS:
            raise UsageError(f"A list has at most {MAX_IDS} ids.")
        if self._is_replacing:
            for part in _slices(ids):
                self._builder.add(part)
                await asyncio.sleep(0)
        await self._write(Delta(added=frozenset(ids)), is_last and not self._part)
        self._done += len(ids)
        if not is_last:
            await self._tell({"done": self._done, "revision": self._written.revision})

    async def _table(self) -> PackedTable:
        while not self._builder.settle():  # noqa: ASYNC110  # work in slices
            await asyncio.sleep(0)
        return self._builder.finish()

    async def _take_off(self, kept: PackedTable) -> None:
        """Whoever is on the list and was not in the body."""
        strangers: list[bytes] = []
        key = list_key(self._writer.keys, self._name)
        async for ids in self._walk(key):
            strangers += [unit for unit in ids if unit not in kept]
            if len(strangers) >= IDS_PER_REVISION:
                await self._remove(strangers[:IDS_PER_REVISION])
                del strangers[:IDS_PER_REVISION]
        if strangers:
            await self._remove(strangers)

    async def _walk(self, key: str) -> AsyncIterator[list[bytes]]:
        """All that is on the list; patient, as in writing."""
        get_link, cursor = self._request.app[CONTEXT].store.link, "0"
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async for following, ids in walk(get_link, key, cursor=cursor):
                    cursor, ends = following, time.monotonic() + PATIENCE_SECONDS
                    yield ids
                return
            except StoreUnavailable:
                if time.monotonic() > ends:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)

    async def _remove(self, ids: list[bytes]) -> None:
        await self._write(Delta(removed=frozenset(ids)), is_alone=False)
        self._removed += len(ids)
        told = {"done": self._done, "removed": self._removed, "revision": self._written.revision}
        await self._tell(told)

    async def _write(self, delta: Delta, is_alone: bool) -> None:
        def edit(state: RouteState) -> RouteState:
            must_exist(state, self._request)
            return state

        part = "" if is_alone else f" (import, part {self._part + 1})"
        why = f"{self._author.why}{part}".strip()
        step = await self._patiently(
            Change(edit, lists={self._name: delta}, expected_revision=self._expected),
            dataclasses.replace(self._author, why=why),
            is_alone,
        )
        self._expected = None  # our own first step has moved it on
        self._part += 1
        self._written = Written(step.revision, self._written.changed or step.changed)

    async def _patiently(self, change: Change, author: Author, is_whole: bool) -> Written:
        """What lasts for minutes should outlast a failover; to write a portion twice is no harm."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._writer.change(route_name(self._request), change, author)
            except ConsentError:
                if is_whole and not self._is_replacing:
                    raise
                raise RefusedError(
                    f"This gives a candidate more, which takes two people; add at most "
                    f"{IDS_PER_REVISION} ids at a time, so that they can be proposed."
                ) from None
            except StoreUnavailable:
                # A first step that is bound to a revision may have been done all the same.
                if change.expected_revision is not None or time.monotonic() > ends:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)

    async def _tell(self, content: Mapping[str, object]) -> None:
        if self._out is None:
            headers = {"Content-Type": LINES, "Cache-Control": "no-store"}
            self._out = web.StreamResponse(headers=headers)
            await self._out.prepare(self._request)
        try:
            await self._out.write(msgspec.json.encode(content) + b"\n")
        except ConnectionError:
            if "finished" not in content:
                raise BadBody("The caller went away.") from None

    def _note(self, error: GraygateError) -> None:
        """An import that ended half way: the history has its steps, the audit its end."""
        principal = self._request[PRINCIPAL]
        self._request.app[CONTEXT].store.audit.note(
            Noted(
                op="import_broken",
                by=principal.name,
                token=principal.token,
                origin=self._request.remote or "",
                what=f"{self._request.method} {self._request.path}",
                why=f"after {self._done} ids, revision {self._written.revision}: {error}",
                code=error.code,
                status=error.status,
            )
        )


async def _ids(request: web.Request) -> AsyncIterator[list[bytes]]:
    """The ids of the body as they arrive; BadBody when it ends before its end."""
    lines = IdLines("The body,")
    try:
        async for piece in request.content.iter_any():
            yield lines.feed(piece)
    except (ConnectionError, web.RequestPayloadError):
        raise BadBody("The body ended early or is not framed as HTTP wants it.") from None
    yield lines.finish()


def _slices(ids: list[bytes]) -> Iterator[list[bytes]]:
    rest = iter(ids)
    while part := list(islice(rest, SLICE_IDS)):
        yield part
