"""The OpenAPI 3.1 document of the API, made of the table of calls and of the types they speak."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

import gateway
from gateway.admin.answers import ProblemDetails
from gateway.admin.guard import CSRF
from gateway.admin.idempotency import HEADER, MAX_KEY_LETTERS
from gateway.admin.proposals import Proposed
from gateway.admin.roles import TABLE, Access
from gateway.admin.spoken import EVENTS, SPOKEN, UNSPOKEN, Parameter, Spoken, schemas

Table = Mapping[tuple[str, str], Access]
Object = dict[str, Any]

_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_PATH_PARTS: Mapping[str, Object] = {
    "route": {"description": "name of a route", "example": "chat"},
    "version": {"description": "name of a version", "example": "v2"},
    "segment": {"description": "name of a segment", "example": "beta"},
    "token": {"description": "id or name of a token", "example": "ci"},
    "proposal": {"description": "id of a proposal", "example": "0a1b2c3d"},
}
_PROBLEMS: Mapping[int, str] = {
    400: "The call cannot be understood",
    401: "It takes a token",
    403: "The token does not allow it, or a page of another origin asks",
    404: "What it names is not there",
    409: "Somebody else wrote first, or what shall go is in use",
    413: "The body is too large",
    415: "The body is of another media type",
    421: "The name it was called by is none of this gateway's",
    422: "The contract forbids what it asks for",
    429: "Too many bad tokens came from this address",
    500: "The gateway failed",
    503: "The store does not answer",
}


def document(table: Table) -> Object:
    """The whole document for these calls."""
    made, parts = schemas()
    paths: dict[str, Object] = {}
    for (method, path), access in table.items():
        spoken = SPOKEN.get((method, path), UNSPOKEN)
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, spoken, access, made)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Graygate admin API",
            "version": gateway.__version__,
            "description": "Look at a gray-release gateway and move its routes.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": parts,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "graygate",
                    "description": (
                        "as POST /api/v1/session sets it; __Host-graygate behind TLS. Whatever is "
                        f"no GET needs the header {CSRF} beside it, with the value `csrf` of "
                        "GET /api/v1/session, and comes from a page of this very origin."
                    ),
                },
            },
            "responses": {str(status): _problem(status, made) for status in _PROBLEMS},
            "headers": {
                "Revision": {
                    "description": "the revision in quotes, to be sent back as If-Match",
                    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
                }
            },
        },
    }


async def show(request: web.Request) -> web.Response:
    response = web.Response(
        body=msgspec.json.encode(document(request.app[TABLE])), content_type="application/json"
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _operation(
    method: str, path: str, spoken: Spoken, access: Access, made: Mapping[str, Object]
) -> Object:
    operation: Object = {
        "operationId": _operation_id(method, path),
        "summary": spoken.summary,
        "description": _who(access),
        "tags": [_tag(path)],
        "parameters": [*_path_parts(path), *_query(spoken.query), *_headers(spoken, access)],
        "responses": _responses(spoken, access, made),
    }
    if access.role is None:
        operation["security"] = [{}]
    if spoken.takes is not None:
        schema = spoken.takes if isinstance(spoken.takes, dict) else made[repr(spoken.takes)]
        content: Object = {"schema": schema}
        if spoken.example is not None:
            content["example"] = spoken.example
        operation["requestBody"] = {"required": True, "content": {spoken.takes_kind: content}}
    return operation


def _operation_id(method: str, path: str) -> str:
    words = re.sub(r"[{}]", "", path.removeprefix("/api/v1")).replace(".", "/").split("/")
    return "_".join([method.lower(), *filter(None, words)])


def _tag(path: str) -> str:
    parts = path.removeprefix("/api/v1").strip("/").split("/")
    if parts[0] == "routes" and len(parts) > 2:
        return parts[2]
    return parts[0]


def _who(access: Access) -> str:
    if access.role is None:
        return "Takes no token."
    return f"Takes the role {access.role}."


def _path_parts(path: str) -> list[Object]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _NAME},
            **_PATH_PARTS[name],
        }
        for name in re.findall(r"{([a-z]+)}", path)
    ]


def _query(query: Mapping[str, Parameter]) -> list[Object]:
    return [
        {
            "name": name,
            "in": "query",
            "description": one.about,
            **({"required": True} if one.is_required else {}),
            "schema": dict(one.schema),
        }
        for name, one in query.items()
    ]


def _headers(spoken: Spoken, access: Access) -> list[Object]:
    if not access.is_write:
        return []
    told: list[Object] = []
    if spoken.is_etagged or access.is_stream:
        told.append(
            {
                "name": "If-Match",
                "in": "header",
                "description": "done only if it still stands at this revision, else 409",
                "schema": {"type": "string", "pattern": r'^(\*|"?[0-9]{1,18}"?)$'},
            }
        )
    if not access.is_stream:
        told.append(
            {
                "name": HEADER,
                "in": "header",
                "description": "a call that is repeated with the same key is done once",
                "schema": {
                    "type": "string",
                    "pattern": f"^[!-~]{{1,{MAX_KEY_LETTERS}}}$",
                },
            }
        )
    return told


def _responses(spoken: Spoken, access: Access, made: Mapping[str, Object]) -> Object:
    content: Object = {"schema": {} if spoken.kind == EVENTS else {"type": "string"}}
    if spoken.kind == "application/json":
        kinds_of = spoken.answers if isinstance(spoken.answers, tuple) else (spoken.answers,)
        each = [made[repr(kind)] for kind in kinds_of]
        content = {"schema": each[0] if len(each) == 1 else {"anyOf": each}}
    kinds = {spoken.kind: content}
    if spoken.kind == "text/markdown":
        kinds |= {"text/html": content, "application/json": {"schema": {}}}
    done: Object = {"description": "Done", "content": kinds}
    if spoken.is_etagged:
        done["headers"] = {"ETag": {"$ref": "#/components/headers/Revision"}}
    told: Object = {"200": done}
    if access.is_write:
        told["202"] = {
            "description": "It gives a candidate more and waits for the consent of another person",
            "content": {"application/json": {"schema": made[repr(Proposed)]}},
        }
    told |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in _PROBLEMS}
    if spoken.may_fail:
        told["503"] = {"description": "It is not", "content": kinds}
    return told


def _problem(status: int, made: Mapping[str, Object]) -> Object:
    schema = made[repr(ProblemDetails)]
    return {
        "description": _PROBLEMS[status],
        "content": {
            "application/problem+json": {
                "schema": schema,
                "example": {
                    "type": "about:blank",
                    "title": "Conflict",
                    "status": 409,
                    "code": "revision_conflict",
                    "detail": "Somebody else wrote first.",
                },
            }
        },
    }
