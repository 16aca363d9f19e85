"""The gateway's own answers, in the words that the clients of a route understand.

Each carries a stable code to switch on and the request's id, and says nothing of what stands behind
the gateway. What a model answers, errors included, is passed on as it came and never comes here.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson

_JSON = b"application/json"
_PROBLEM = b"application/problem+json"
_RETRY_AFTER_SECONDS = 1

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
# The types that OpenAI's and Anthropic's client libraries know, by status.
_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def phrase(status: int) -> str:
    return _PHRASES.get(status, "")


def error_body(
    dialect: str, status: int, code: str, text: str, request_id: str
) -> tuple[bytes, bytes]:
    """The body of an error and its content type."""
    if dialect == "openai":
        kind = _OPENAI_TYPES.get(status, _broad(status, "server_error"))
        error = {"message": text, "type": kind, "param": None, "code": code}
        return orjson.dumps({"error": error, "request_id": request_id}), _JSON
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, _broad(status, "api_error"))
        error = {"type": kind, "message": text, "code": code}
        return orjson.dumps({"type": "error", "error": error, "request_id": request_id}), _JSON
    if dialect == "kserve":
        return orjson.dumps({"error": text, "code": code, "request_id": request_id}), _JSON
    problem = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "code": code,
        "detail": text,
        "request_id": request_id,
    }
    return orjson.dumps(problem), _PROBLEM


def last_event(dialect: str, code: str, text: str, request_id: str) -> bytes:
    """The last event of an event stream that was cut off behind us; there is no other sign."""
    body, _ = error_body(dialect, 502, code, text, request_id)
    name = b"event: error\n" if dialect == "anthropic" else b""
    return name + b"data: " + body + b"\n\n"


def answer_head(status: int, fields: list[bytes]) -> bytes:
    """The head of an answer that the gateway makes itself."""
    lines = [b"HTTP/1.1 %d %b" % (status, phrase(status).encode()), *fields]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(b"Retry-After: %d" % _RETRY_AFTER_SECONDS)
    return b"\r\n".join([*lines, b"", b""])


def _broad(status: int, internal: str) -> str:
    return "invalid_request_error" if status < 500 else internal
