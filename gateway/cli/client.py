"""The way from a command to a running gateway: find it, ask it, and tell what it refused.

Only what a command needs is imported here: `graygate get` must be there at once. (`http.client`
brings `ssl` along, but a context, which costs more than the rest together, is made for https only.)
"""

from __future__ import annotations

import http.client
import os
import pwd
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec

from gateway.cli.trust import NO_CA, Trust, why_no_tls
from gateway.config.secret import Secret
from gateway.config.secret_file import read_secret
from gateway.config.variables import GATEWAY_VARIABLE as VARIABLE
from gateway.errors import (
    ConflictError,
    ConsentError,
    GatewayUnreachable,
    GraygateError,
    InUseError,
    NotFoundError,
    Problem,
    RefusedError,
    StoreDenied,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
    UsageError,
)
from gateway.process.runfile import RUN_FILE, read_run_file

FLAG = "--gateway"
TOKEN_VARIABLE = "GRAYGATE_ADMIN__TOKEN"
TOKEN_FILE_VARIABLE = "GRAYGATE_ADMIN__TOKEN_FILE"
DEFAULT_URL = "http://127.0.0.1:8081"
_HOST_VARIABLE = "GRAYGATE_ADMIN__HOST"
_PORT_VARIABLE = "GRAYGATE_ADMIN__PORT"
_CERT_VARIABLE = "GRAYGATE_ADMIN__TLS_CERT"
_LOOPBACK = "127.0.0.1"
PROBLEM = "application/problem+json"

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0

Answered = TypeVar("Answered")

_BY_CODE: Mapping[str, type[GraygateError]] = {
    kind.code: kind
    for kind in (
        *(UsageError, NotFoundError, RefusedError, InUseError, ConflictError),
        *(StoreError, StoreUnavailable, StoreDenied, StoreReadOnly),
    )
}


class _FieldError(msgspec.Struct):
    """One thing that is wrong, and where."""

    field: str
    text: str


class _Waiting(msgspec.Struct):
    """A change that waits for a second person."""

    id: str
    raises: list[str] = []


class _Proposed(msgspec.Struct):
    """What the gateway says when it wrote nothing, or not all, and proposed the rest."""

    proposals: list[_Waiting] = []
    written: list[str] = []


class _Problem(msgspec.Struct):
    """What the gateway says when it does not do what it was asked."""

    code: str = ""
    detail: str = ""
    errors: list[_FieldError] = []


class TokenRefused(GraygateError):
    """The gateway does not know who asks."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The gateway did it; `body` is JSON, or lines of it."""

    body: bytes
    url: str
    etag: str = ""

    @property
    def revision(self) -> int:
        """Where the route, or segment, stands that this is about."""
        digits = self.etag.strip('"')
        return int(digits) if digits.isascii() and digits.isdigit() else 0

    def read(self, kind: type[Answered]) -> Answered:
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise GraygateError(
                f"The gateway at {self.url} answers in a form that this command does not know "
                f"({error}); use the graygate of the gateway's own version."
            ) from None


class Gateway:
    """A gateway's admin port; every call is a connection of its own."""

    def __init__(self, url: SplitResult, token: Secret, by: str, trust: Trust = NO_CA) -> None:
        self.url = url.geturl().rstrip("/")
        self._trust = trust
        self._parts = url
        self._token = token
        self._by = by

    def __repr__(self) -> str:
        return f"<Gateway at {self.url}>"

    def get(self, *path: str, query: Mapping[str, str | int] | None = None) -> Reply:
        return self.call("GET", *path, query=query)

    def call(
        self,
        method: str,
        *path: str,
        content: object = None,
        query: Mapping[str, str | int] | None = None,
        revision: int | None = None,
        takes: str = "application/json",
    ) -> Reply:
        """Asks /api/v1/<path>, or raises one of our errors that says what the gateway said.

        With `revision` it is done only if the route still stands there.
        """
        headers = self._headers()
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        body = None
        if content is not None:
            headers["Content-Type"] = "application/json"
            try:
                body = msgspec.json.encode(content)
            except UnicodeEncodeError:
                raise UsageError("an argument is not valid UTF-8 text") from None
        return self._exchange(method, self._target(path, query), body, headers, takes)

    def begin(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPConnection:
        """Sends the head of a call whose body or answer is a stream; the caller closes it."""
        connection = self._connect()
        try:
            connection.putrequest(method, self._target(path, query), skip_accept_encoding=True)
            for name, value in {**self._headers(), **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self.broken_off(error, is_write=False) from None
        return connection

    def answered(
        self, connection: http.client.HTTPConnection, takes: str, *, is_write: bool = False
    ) -> http.client.HTTPResponse:
        """The answer to what `begin` began, its body still to be read; raises as `call` does."""
        try:
            response = connection.getresponse()
            kind = response.headers.get_content_type()
            if response.status == 200 and kind == takes:
                return response
            content = response.read()
            if response.status == 202:
                raise proposed(content)
        except (OSError, http.client.HTTPException) as error:
            raise self.broken_off(error, is_write=is_write) from None
        raise self._not_done(response.status, kind, content)

    def broken_off(self, error: Exception, *, is_write: bool) -> GatewayUnreachable:
        """What to raise when a connection ended before its answer did."""
        return GatewayUnreachable(self._broken_off(error, is_write=is_write))

    def _target(self, path: tuple[str, ...], query: Mapping[str, str | int] | None) -> str:
        target = "/".join([self._parts.path.rstrip("/"), "api/v1", *map(_quoted, path)])
        if query:
            target += "?" + urlencode(query, errors="surrogateescape")
        return target

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of a health check, which needs no token."""
        connection = self._connect()
        try:
            connection.request("GET", f"{self._parts.path.rstrip('/')}/{path}")
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise GatewayUnreachable(self._broken_off(error, is_write=False)) from None
        finally:
            connection.close()

    def _headers(self) -> dict[str, str | bytes]:
        headers: dict[str, str | bytes] = {
            "Accept": f"application/json, {PROBLEM}",
            "X-Graygate-Client": "cli",
            "X-Graygate-By": self._by.encode(errors="replace"),
        }
        if self._token:
            headers["Authorization"] = b"Bearer " + self._token.reveal().encode()
        return headers

    def _exchange(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str | bytes],
        takes: str,
    ) -> Reply:
        connection = self._connect()
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise GatewayUnreachable(self._broken_off(error, is_write=method != "GET")) from None
        finally:
            connection.close()
        kind = response.headers.get_content_type()
        if response.status == 200 and kind == takes:
            return Reply(content, self.url, response.headers.get("ETag", ""))
        if response.status == 202:
            raise proposed(content)
        raise self._not_done(response.status, kind, content)

    def _not_done(self, status: int, kind: str, content: bytes) -> GraygateError:
        if kind == PROBLEM:
            return self._refusal(status, content)
        return GatewayUnreachable(
            f"What answers at {self.url} is not the admin port of a gateway "
            f"(it sent {status} {kind}); name the right one with {FLAG} or {VARIABLE}."
        )

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, port, timeout=CONNECT_SECONDS, context=self._trust.context()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except ssl.SSLError as error:
            connection.close()
            raise GatewayUnreachable(why_no_tls(self.url, error)) from None
        except (OSError, UnicodeError) as error:
            connection.close()
            raise GatewayUnreachable(
                f"No gateway answers at {self.url} ({_words(error)}); start one with: graygate up, "
                f"or name another with {FLAG} URL or {VARIABLE}."
            ) from None
        if isinstance(connection.sock, ssl.SSLSocket):
            wrong = self._trust.wrong_with(connection.sock, self.url)
            if wrong:
                connection.close()
                raise GatewayUnreachable(wrong)
        connection.sock.settimeout(ANSWER_SECONDS)
        return connection

    def _broken_off(self, error: Exception, *, is_write: bool) -> str:
        doubt = "; it may have done it all the same, so look before you repeat it"
        hint = ""
        if isinstance(error, ConnectionError) and self._parts.scheme == "http":
            hint = " If its admin port speaks TLS, name it as https://."
        return (
            f"The gateway at {self.url} gave no whole answer ({_words(error)})"
            f"{doubt if is_write else ''}.{hint}"
        )

    def _refusal(self, status: int, content: bytes) -> GraygateError:
        try:
            problem = msgspec.json.decode(content, type=_Problem)
        except (msgspec.DecodeError, UnicodeError):
            problem = _Problem()
        if status == 401:
            how = "refuses the token of" if self._token else "wants a token: set"
            return TokenRefused(
                f"The gateway at {self.url} {how} {TOKEN_VARIABLE} or {TOKEN_FILE_VARIABLE}."
            )
        detail = problem.detail or f"The gateway at {self.url} answered {status}."
        problems = tuple(Problem(one.field, one.text) for one in problem.errors)
        return error_of(problem.code, detail, problems)


def proposed(content: bytes) -> GraygateError:
    """What a command ends with whose change now waits for the consent of a second person."""
    try:
        told = msgspec.json.decode(content, type=_Proposed)
    except (msgspec.DecodeError, UnicodeError):
        told = _Proposed()
    waits = "; ".join(f"{one.id} ({', '.join(one.raises)})" for one in told.proposals)
    done = f" Written: {', '.join(told.written)}." if told.written else ""
    return ConsentError(
        f"Not done yet, it waits for the consent of another approver: proposal {waits}.{done} "
        "They say: graygate proposals approve ID"
    )


def error_of(code: str, detail: str, problems: tuple[Problem, ...] = ()) -> GraygateError:
    """The error of ours that the gateway calls by this code."""
    kind = _BY_CODE.get(code)
    if kind is None:
        kind = StoreUnavailable if code.startswith("store_") else GraygateError
    if issubclass(kind, RefusedError):
        return kind(detail, problems)
    return kind(detail)


def find_gateway(named: str | None, environ: Mapping[str, str]) -> Gateway:
    """The gateway that is named, else the one that runs in this folder, else the usual address."""
    url, where, own_cert = named, FLAG, ""
    if url is None:
        url, where = environ.get(VARIABLE) or None, VARIABLE
    if url is None:
        running = read_run_file(RUN_FILE)
        url, where = running.admin_url if running else _usual_url(environ), str(RUN_FILE)
        own_cert = running.admin_cert if running else environ.get(_CERT_VARIABLE, "")
    trust = Trust.of(environ, own_cert)
    return Gateway(_parsed(url, where), _token(environ), _user(environ), trust)


def _usual_url(environ: Mapping[str, str]) -> str:
    """Where a gateway is that was started with this environment, as in the same container."""
    host = environ.get(_HOST_VARIABLE) or _LOOPBACK
    port = environ.get(_PORT_VARIABLE) or DEFAULT_URL.rpartition(":")[2]
    if host in ("0.0.0.0", "::") or not port.isdecimal():
        host = _LOOPBACK
    scheme = "https" if environ.get(_CERT_VARIABLE) else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _parsed(url: str, where: str) -> SplitResult:
    """Not repeated when it is wrong: people put passwords into URLs."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not url.isprintable() or " " in url:
        raise UsageError(f"{where} takes the URL of an admin port, as in {DEFAULT_URL}.")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            f"{where} takes scheme, host, port and path; the token belongs into {TOKEN_VARIABLE}."
        )
    return parts


def _token(environ: Mapping[str, str]) -> Secret:
    text, file = environ.get(TOKEN_VARIABLE), environ.get(TOKEN_FILE_VARIABLE)
    if text and file:
        raise UsageError(f"{TOKEN_VARIABLE} and {TOKEN_FILE_VARIABLE} are both set; keep one.")
    if file:
        try:
            token = read_secret(file)
        except ValueError as error:
            raise UsageError(f"{TOKEN_FILE_VARIABLE} {error}.") from None
    else:
        token = Secret(text or "")
    if not token.reveal().isprintable():
        raise UsageError(
            "The token holds a character that no header can carry, a line end perhaps."
        )
    return token


def _user(environ: Mapping[str, str]) -> str:
    name = environ.get("USER") or environ.get("LOGNAME")
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"uid {os.getuid()}"
    return "".join(character for character in name if character.isprintable())[:128]


def _quoted(segment: str) -> str:
    return quote(segment, safe="", errors="surrogateescape")


def _words(error: Exception) -> str:
    """What went wrong, in the words of the system where there are any."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error) or type(error).__name__
