"""Errors as `application/problem+json` (RFC 9457) with a stable code."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import GraygateError, Problem, RefusedError, Retry, UsageError

log = logging.getLogger("graygate.admin")

TOLD = web.ResponseKey("told", tuple[str, str])  # code and detail, for the audit


def problem(status: int, code: str, detail: str, errors: Sequence[Problem] = ()) -> web.Response:
    """`errors` tells one by one what the detail says in a sentence, each with its place."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"field": error.where, "text": error.what} for error in errors]
    response = web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/problem+json"
    )
    response[TOLD] = (code, detail)
    return response


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: whatever goes wrong inside leaves as a problem, without a traceback."""
    try:
        return await handler(request)
    except GraygateError as error:
        errors = error.problems if isinstance(error, RefusedError) else ()
        response = problem(error.status, error.code, str(error), errors)
        if error.retry is Retry.LATER:
            response.headers["Retry-After"] = "1"
        return response
    except web.HTTPException as error:
        code = (error.reason or "error").lower().replace(" ", "_")
        response = problem(error.status, code, _sentence(error))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("An admin request failed: %s %s", request.method, request.path)
        return problem(500, "internal_error", "The gateway failed; its log says more.")


def _sentence(error: web.HTTPException) -> str:
    """What aiohttp refuses by itself, told as we tell things."""
    if error.status == 404:
        return "There is nothing at this path; the API begins at /api/v1."
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"This path takes {', '.join(sorted(error.allowed_methods))} only."
    if error.status == 413:
        return "The body is too large; send it in portions."
    return error.text or error.reason


class BadBody(UsageError):
    """The body of a request is not what the call takes."""

    code = "bad_body"


class WrongMedia(UsageError):
    """The body is not declared as JSON; this also stops forms that a web page may post."""

    status = 415
    code = "unsupported_media_type"
