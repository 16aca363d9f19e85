"""The simple path of a request, on aiohttp: correct, streaming both ways, and not fast.

It stands in the place of the streaming data plane, with the same duties as far as aiohttp lets it:
no upgrades, no trailers, no retries, and header values that are not UTF-8 are refused.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from gateway.config.networks import networks_of
from gateway.config.settings import Settings
from gateway.proxy.fields import for_downstream, for_upstream
from gateway.proxy.refusal import PSEUDONYM, Refusal, check, is_utf8
from gateway.routing.decide import Decision, decide
from gateway.routing.facts import RequestFacts, canonical_path
from gateway.routing.table import Route, Table

_log = logging.getLogger(__name__)

_BODY_LIMIT = 1024 * 1024  # of bodies that must be read before the decision
_HEAD_LIMIT = 64 * 1024
_MOST_HOPS = 50
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 300.0
_KEEPALIVE_SECONDS = 75.0
_HEAD_SECONDS = 10.0  # from a connection's start until its first request is there
_CUT_SECONDS = 0.1
_LAST_REQUEST_SECONDS = 1.0  # for what was on its way when draining began

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")

_Network = IPv4Network | IPv6Network


class _BodyFacts(msgspec.Struct):
    model: Any = None
    user: Any = None


class InterimPlane:
    """Serves one listening socket by the table it is given; counts what it does."""

    def __init__(self, settings: Settings) -> None:
        self.table: Table | None = None  # swapped whole; a request reads it once
        self.decisions: dict[tuple[str, str, str], int] = {}
        self.requests: dict[tuple[str, str, str], int] = {}
        self._backlog = settings.listen.backlog
        self._trusted = networks_of(settings.routing.trusted_proxies)
        self._busy: set[object] = set()
        self._silent: dict[web.RequestHandler, float] = {}  # since when they sent no request
        self._is_draining = False

    def __repr__(self) -> str:
        state = "draining" if self._is_draining else "serving"
        return f"<InterimPlane {state}, {len(self._busy)} requests, {self.table!r}>"

    async def start(self, listening: socket.socket) -> None:
        self._session = aiohttp.ClientSession(
            # Shorter than what servers keep connections open for, so few are found closed.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            max_line_size=_HEAD_LIMIT,
            max_field_size=_HEAD_LIMIT,
        )
        self._web = web.Server(
            self._handle,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            logger=_unread_log(),
            keepalive_timeout=_KEEPALIVE_SECONDS,
            max_line_size=_HEAD_LIMIT,
            max_field_size=_HEAD_LIMIT,
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=listening, backlog=self._backlog)
        self._closing = asyncio.create_task(self._close_silent())

    def _accept(self) -> asyncio.BaseProtocol:
        connection = self._web()
        self._silent[connection] = asyncio.get_running_loop().time()
        return connection

    async def _close_silent(self) -> None:
        """aiohttp would wait for the first request for ever (slowloris)."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_HEAD_SECONDS / 10)
            for connection, since in list(self._silent.items()):
                if loop.time() >= since + _HEAD_SECONDS:
                    del self._silent[connection]
                    connection.force_close()  # nothing happens to those that are gone

    async def drain(self, seconds: float) -> None:
        """Accepts what is queued and nothing after it; returns when all requests are finished."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._is_draining = True
        for _ in range(2):  # the loop looks at the socket once more
            await asyncio.sleep(0)
        self._server.close()
        while self._web.connections and loop.time() < now + seconds:
            if loop.time() >= now + _LAST_REQUEST_SECONDS:
                for connection in self._web.connections:
                    if connection not in self._busy:
                        connection.force_close()
            await asyncio.sleep(0.02)
        for connection in self._web.connections:  # their time is over
            connection.force_close()
        self._closing.cancel()
        await asyncio.gather(self._closing, return_exceptions=True)
        await self._web.shutdown(_CUT_SECONDS)
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = _Exchange(request, _request_id(request))
        self._busy.add(request.protocol)
        self._silent.pop(request.protocol, None)
        try:
            response = await self._answer(exchange)
            status = str(response.status)
        except Refusal as refusal:
            response = _refuse(exchange, refusal)
            status = str(refusal.status)
        except asyncio.CancelledError:
            status = "499"  # the client is gone
            raise
        except Exception:
            _log.exception("A request failed inside the gateway.")
            text = "The gateway has failed; its log says more."
            response = _refuse(exchange, Refusal(500, "internal_error", text, must_close=True))
            status = "500"
        finally:
            self._busy.discard(request.protocol)
            _count(self.requests, (exchange.route, exchange.version, status))
        # Closing unannounced would cut off a next request that is on its way already.
        if self._is_draining and not response.prepared:
            response.force_close()
        return response

    async def _answer(self, exchange: _Exchange) -> web.StreamResponse:
        request = exchange.request
        table = self.table
        if table is None:
            raise Refusal(503, "no_table", "The gateway has not learned its routes yet; try again.")
        check(request)
        peer = _plain_address(request.remote or "")
        facts = self._facts(request, peer)
        body = None
        if table.wants_model(facts):
            body = await _read_body(exchange, facts)
        route = table.match(facts)
        if route is None:
            raise Refusal(404, "no_route", "No route of this gateway takes this request.")
        exchange.route = route.name
        if body is None and (route.wants_model or route.wants_body_user):
            body = await _read_body(exchange, facts)
        decision = decide(route, facts, now=time.time(), draw=random.random)
        exchange.version = decision.version
        _count(self.decisions, (route.name, decision.version, decision.reason.value))
        headers = _upstream_headers(exchange, route.spec.unit, peer, facts.trusted)
        return await self._forward(exchange, route, decision, headers, body)

    async def _forward(
        self,
        exchange: _Exchange,
        route: Route,
        decision: Decision,
        headers: CIMultiDict[str],
        body: bytes | None,
    ) -> web.StreamResponse:
        request, timeouts = exchange.request, route.spec.timeouts
        base = random.choice(route.spec.versions[decision.version].urls)
        url = URL(base.rstrip("/") + request.raw_path, encoded=True)
        data: Any = body
        if body is None and request.can_read_body:
            data = exchange.stream()
        timeout = aiohttp.ClientTimeout(
            total=timeouts.get("total"),
            sock_connect=timeouts.get("connect", _CONNECT_SECONDS),
            sock_read=timeouts.get("idle", _IDLE_SECONDS),
        )
        sent = self._session.request(
            request.method, url, headers=headers, data=data, allow_redirects=False, timeout=timeout
        )
        try:
            async with asyncio.timeout(timeouts.get("first_byte")):
                upstream = await sent
        except TimeoutError as error:
            raise Refusal(504, "upstream_timeout", "The model did not answer in time.") from error
        except aiohttp.ClientConnectorError as error:
            text = "The model cannot be reached."
            raise Refusal(502, "upstream_connect_failed", text) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            text = "The model broke off before it answered."
            raise Refusal(502, "upstream_protocol_error", text) from error
        try:
            return await self._pass_on(exchange, upstream, decision)
        finally:
            if upstream.content.at_eof():
                upstream.release()
            else:
                upstream.close()

    async def _pass_on(
        self, exchange: _Exchange, upstream: aiohttp.ClientResponse, decision: Decision
    ) -> web.StreamResponse:
        request = exchange.request
        coding = upstream.headers.get("Transfer-Encoding", "chunked").lower()
        if upstream.status < 200 or coding != "chunked" or not is_utf8(upstream.raw_headers):
            text = "The model sent an answer that cannot be passed on."
            raise Refusal(502, "upstream_protocol_error", text)
        headers = for_downstream(upstream.headers)
        headers["X-Graygate-Version"] = decision.version
        headers["X-Graygate-Reason"] = decision.reason.value
        headers["X-Request-Id"] = exchange.request_id
        headers.setdefault("Server", PSEUDONYM)
        response = web.StreamResponse(
            status=upstream.status, reason=upstream.reason, headers=headers
        )
        if self._is_draining:
            response.force_close()
        ending = _ending(upstream)
        try:
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            if ending is not None and ending.done():
                ending.result()
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("The answer of %s was cut off: %s", decision.version, type(error).__name__)
            response.force_close()
            _cut(request)
        except ConnectionError:
            pass  # the client is gone; aiohttp finds out by itself
        return response

    def _facts(self, request: web.BaseRequest, peer: str) -> RequestFacts:
        raw_path, _, query = request.raw_path.encode("utf-8", "surrogateescape").partition(b"?")
        path = canonical_path(raw_path)
        if path is None or b"#" in query:
            raise Refusal(400, "bad_path", "The path of the request cannot be understood.")
        trusted = self._is_trusted(peer)
        host = request.headers.get("Host", "").lower()
        host = re.sub(r":[0-9]*$", "", host)
        return RequestFacts(
            method=request.method,
            host=host.encode("utf-8", "surrogateescape"),
            path=path,
            query=query,
            headers=_single_headers(request),
            client_ip=self._client_ip(request, peer) if trusted else peer,
            trusted=trusted,
        )

    def _client_ip(self, request: web.BaseRequest, peer: str) -> str:
        """The nearest hop that is not one of the trusted proxies."""
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        nearest = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _plain_address(hop.strip(" \t"))
            if not address or not self._is_trusted(nearest):
                break
            nearest = address
        return nearest

    def _is_trusted(self, address: str) -> bool:
        return bool(address) and any(ip_address(address) in one for one in self._trusted)


def _unread_log() -> logging.Logger:
    """Where aiohttp tells of requests that it could not parse, and of nothing else."""
    log = logging.getLogger(f"{__name__}.unread")
    log.addFilter(_as_one_line)
    return log


def _as_one_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        # No more than the first line: what follows repeats the client's bytes, secrets and all.
        record.msg += ": %s"
        record.args = (*cast(tuple[object, ...], record.args or ()), error.message.split("\n")[0])
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


class _Exchange:
    """One request and what is known of it so far."""

    def __init__(self, request: web.BaseRequest, request_id: str) -> None:
        self.request = request
        self.request_id = request_id
        self.route = ""
        self.version = ""
        # A client of HTTP/1.0 would take an interim answer for the answer (RFC 9110, 15.2).
        self._expects_continue = "expect" in request.headers and request.version >= HttpVersion11

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        if self._expects_continue:
            self._expects_continue = False
            writer = self.request._payload_writer
            await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            writer.output_size = 0  # the answer proper has not begun
        async for chunk in self.request.content.iter_any():
            yield chunk


def _ending(upstream: aiohttp.ClientResponse) -> asyncio.Future[None] | None:
    """How the connection ends, where its end is the end of the answer.

    aiohttp takes a reset for an end there; the future then holds a ClientConnectionError.
    """
    framed = {"Content-Length", "Transfer-Encoding"} & upstream.headers.keys()
    if framed or upstream.connection is None or upstream.connection.protocol is None:
        return None
    return upstream.connection.protocol.closed


def _cut(request: web.BaseRequest) -> None:
    """Ends the connection so that the client sees that something is missing."""
    if request.transport is None:
        return
    if request.version < HttpVersion11:
        # There the end of the connection may be the end of the answer: only a reset is no end.
        link = request.transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.close()


async def _read_body(exchange: _Exchange, facts: RequestFacts) -> bytes:
    """The whole body, for routes that decide by what is in it; fills in the facts."""
    if (exchange.request.content_length or 0) > _BODY_LIMIT:
        raise _too_large()
    body = bytearray()
    async for chunk in exchange.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise _too_large()
    try:
        found = msgspec.json.decode(body, type=_BodyFacts)
    except (ValueError, RecursionError):  # not JSON, or no object: it names nothing
        return bytes(body)
    facts.model = found.model if isinstance(found.model, str) else None
    facts.body_user = found.user.encode() if isinstance(found.user, str) else None
    return bytes(body)


def _too_large() -> Refusal:
    text = "The body is over 1 MiB, and the gateway must read it to find the route."
    return Refusal(413, "body_too_large", text, must_close=True)


def _upstream_headers(
    exchange: _Exchange, unit_sources: Iterable[str], peer: str, trusted: bool
) -> CIMultiDict[str]:
    request = exchange.request
    headers = for_upstream(request.headers, unit_sources, trusted=trusted)
    if request.content_length is not None:
        headers["Content-Length"] = str(request.content_length)  # never in the client's spelling
    theirs: Mapping[str, str] = request.headers if trusted else {}
    chain = request.headers.getall("X-Forwarded-For", []) if trusted else []
    headers["X-Forwarded-For"] = ", ".join([*chain, peer])
    headers["X-Forwarded-Proto"] = theirs.get("X-Forwarded-Proto", "http")
    host = theirs.get("X-Forwarded-Host", request.headers.get("Host", ""))
    if host:
        headers["X-Forwarded-Host"] = host
    headers.add("Via", f"1.{request.version.minor} {PSEUDONYM}")
    headers["X-Request-Id"] = exchange.request_id
    headers["X-Graygate-Version"] = exchange.version
    return headers


def _single_headers(request: web.BaseRequest) -> dict[bytes, bytes]:
    """What a decision may read: fields that came once, and all lines of Cookie as one."""
    lines: dict[bytes, list[bytes]] = {}
    for name, value in request.raw_headers:
        lines.setdefault(name.lower(), []).append(value)
    cookies = lines.pop(b"cookie", [])
    single = {name: values[0] for name, values in lines.items() if len(values) == 1}
    return {**single, b"cookie": b"; ".join(cookies)} if cookies else single


def _request_id(request: web.BaseRequest) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _plain_address(text: str) -> str:
    """An address as text, IPv4 as IPv4; "" when it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def _refuse(exchange: _Exchange, refusal: Refusal) -> web.Response:
    problem = {
        "type": "about:blank",
        "title": web.Response(status=refusal.status).reason,
        "status": refusal.status,
        "code": refusal.code,
        "detail": str(refusal),
        "request_id": exchange.request_id,
    }
    headers = {"X-Request-Id": exchange.request_id, "Server": PSEUDONYM}
    if refusal.status == 503:
        headers["Retry-After"] = "1"
    response = web.Response(
        status=refusal.status,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers=headers,
    )
    if refusal.must_close:
        response.force_close()
    return response


def _count(counts: dict[tuple[str, str, str], int], key: tuple[str, str, str]) -> None:
    counts[key] = counts.get(key, 0) + 1
