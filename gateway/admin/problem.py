"""Errors as `application/problem+json` (RFC 9457) with a stable code."""

from __future__ import annotations

import logging
from http import HTTPStatus

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import GraygateError, UsageError

log = logging.getLogger("graygate.admin")


def problem(status: int, code: str, detail: str) -> web.Response:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return web.Response(
        status=status, body=orjson.dumps(body), content_type="application/problem+json"
    )


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: whatever goes wrong inside leaves as a problem, without a traceback."""
    try:
        return await handler(request)
    except GraygateError as error:
        response = problem(error.status, error.code, str(error))
        if error.status == 503:
            response.headers["Retry-After"] = "1"
        return response
    except web.HTTPException as error:
        code = (error.reason or "error").lower().replace(" ", "_")
        response = problem(error.status, code, error.text or error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("An admin request failed: %s %s", request.method, request.path)
        return problem(500, "internal_error", "The gateway failed; its log says more.")


class BadBody(UsageError):
    """The body of a request is not what the call takes."""

    code = "bad_body"


class WrongMedia(UsageError):
    """The body is not declared as JSON; this also stops forms that a web page may post."""

    status = 415
    code = "unsupported_media_type"
