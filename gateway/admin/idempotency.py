"""`Idempotency-Key`: a write that is repeated because its answer got lost is done once only."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.calls import BODY, read_body
from gateway.admin.context import CONTEXT
from gateway.admin.roles import ACCESS, PRINCIPAL
from gateway.errors import GraygateError, Source, UsageError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY_LETTERS = 255


@web.middleware
async def once_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Inside the guard: a key belongs to the caller who used it."""
    key = request.headers.get(HEADER)
    access = request.get(ACCESS)
    if key is None or access is None or not access.is_write or access.is_stream:
        return await handler(request)
    if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= MAX_KEY_LETTERS:
        raise UsageError(f"{HEADER} takes 1 to {MAX_KEY_LETTERS} printable ASCII letters.")
    body = request[BODY] = await read_body(request)
    answers = request.app[CONTEXT].store.answers
    principal = request[PRINCIPAL]
    mine = f"{principal.token or principal.name}\n{key}"
    expected = request.headers.get("If-Match", "")
    call = f"{request.method} {request.path_qs}\n{expected}\n{body.hex()}"
    known = await answers.reserve(mine, call)
    if known is not None:
        told = web.Response(
            status=known.status, body=known.body.encode(), content_type="application/json"
        )
        told.headers[REPLAYED] = "true"
        told.headers["Cache-Control"] = "no-store"
        if known.etag:
            told.headers["ETag"] = known.etag
        return told
    try:
        response = await handler(request)
    except GraygateError as error:
        # What the store did when it gave no answer, nobody knows.
        if error.source is Source.OPERATOR:
            await answers.release(mine)
        raise
    except web.HTTPException:
        await answers.release(mine)
        raise
    content = response.body if isinstance(response, web.Response) else b""
    etag = response.headers.get("ETag", "")
    if response.status < 400:
        whole = content if isinstance(content, bytes) else b""
        await answers.keep(mine, call, response.status, etag, whole)
    else:
        await answers.release(mine)
    return response
