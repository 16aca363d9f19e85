"""Every start-up setting: name, default, unit and one line of help. The one home of them all.

The help lines feed `graygate config schema`, the sample in `config/gateway.toml` and the table in
the README; a test holds the three together. Live things (routes, weights, lists) are not settings:
they live in the store.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.config.channel import Channel
from gateway.config.secret import Secret

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=86_400)]  # 0 switches off
Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
CountOrNone = Annotated[int, Meta(ge=0)]  # 0 switches off


def setting(help_line: str) -> Meta:
    return Meta(description=help_line)


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """Where clients connect."""

    host: Annotated[str, setting("address the data port binds to")] = "0.0.0.0"
    port: Annotated[Port, setting("data port, where clients send their requests")] = 8080
    backlog: Annotated[Count, setting("connections that may wait in each worker's socket")] = 1024
    tls_cert: Annotated[
        str, setting("certificate chain file; with it the data port speaks TLS only")
    ] = ""
    tls_key: Annotated[str, setting("key file of the certificate")] = ""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """How many processes, and where they keep things."""

    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"],
        setting("worker processes; auto = one per processor this process may use"),
    ] = "auto"
    state_dir: Annotated[
        str, setting("folder for the last good table; empty = keep none on disk")
    ] = ".graygate/state"
    drain_seconds: Annotated[
        Seconds, setting("seconds that running requests get to finish when a worker stops")
    ] = 30.0
    unready_seconds: Annotated[
        SecondsOrNone,
        setting(
            "seconds between saying `not ready` and accepting no more, when told to end; "
            "give a balancer in front the time to notice"
        ),
    ] = 0.0
    hang_seconds: Annotated[
        SecondsOrNone,
        setting("a process without a sign of life for so many seconds is replaced; 0 = never"),
    ] = 30.0


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """The store that holds the live routing state."""

    url: Annotated[
        str,
        setting(
            "redis://, rediss:// or unix:// URL; redis+sentinel://h1:p1,h2:p2/NAME/0 for Sentinel; "
            "without a password in it"
        ),
    ] = "redis://127.0.0.1:6379/0"
    username: Annotated[str, setting("ACL user; empty = the default user")] = ""
    password: Annotated[Secret, setting("password of the user")] = Secret()
    sentinel_username: Annotated[str, setting("ACL user of the Sentinels")] = ""
    sentinel_password: Annotated[Secret, setting("password of the Sentinels")] = Secret()
    prefix: Annotated[str, setting("what every key starts with; on Redis Cluster use {gray}:")] = (
        "gray:"
    )
    tls_ca: Annotated[str, setting("CA file that the store's certificate must chain to")] = ""
    tls_cert: Annotated[str, setting("client certificate file")] = ""
    tls_key: Annotated[str, setting("client key file")] = ""
    timeout_seconds: Annotated[
        Seconds, setting("seconds to wait for a connection or an answer of the store")
    ] = 1.0
    heartbeat_seconds: Annotated[
        Seconds, setting("seconds between signs of life on the watch connection")
    ] = 1.0
    poll_seconds: Annotated[
        Seconds, setting("seconds between full looks at the store, the net under the watch")
    ] = 2.0
    tracking: Annotated[
        bool, setting("ask the store to push changes; false = only look every poll_seconds")
    ] = True


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Who may say who a caller is."""

    trusted_proxies: Annotated[
        tuple[str, ...],
        setting(
            "networks whose forwarded headers and user ids are believed; "
            "private = loopback and private networks, * = everyone"
        ),
    ] = ("private",)
    override_key: Annotated[
        Secret, setting("key that signs X-Graygate-Override; empty = the header is ignored")
    ] = Secret()
    jwt_key: Annotated[
        Secret,
        setting("key that verifies JWTs: an HS secret, or an RSA public key as PEM or JWKS"),
    ] = Secret()
    jwt_issuer: Annotated[str, setting("required iss claim; empty = any")] = ""
    jwt_audience: Annotated[str, setting("required aud claim; empty = any")] = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may ask of the gateway."""

    connections: Annotated[
        Annotated[int, Meta(ge=1)] | Literal["auto"],
        setting("open client connections per worker; auto = half of its file descriptors"),
    ] = "auto"
    line_bytes: Annotated[
        Annotated[int, Meta(ge=256)], setting("bytes of the first line of a request")
    ] = 8192
    head_bytes: Annotated[
        Annotated[int, Meta(ge=1024)], setting("bytes of a request's or answer's whole head")
    ] = 65_536
    head_lines: Annotated[Annotated[int, Meta(ge=16)], setting("header lines of a head")] = 100
    body_bytes: Annotated[
        CountOrNone, setting("bytes of a request's body; a route's body_limit wins; 0 = no limit")
    ] = 0
    decision_body_bytes: Annotated[
        Count, setting("bytes of a body that is read before the decision, for its model or user")
    ] = 1_048_576
    head_seconds: Annotated[Seconds, setting("seconds until a request's head must be complete")] = (
        10.0
    )
    body_idle_seconds: Annotated[
        Seconds, setting("seconds that a client may pause in the middle of a body")
    ] = 60.0
    min_bytes_per_second: Annotated[
        CountOrNone,
        setting("slowest pace of a client that sends or takes, as mean of 10 seconds; 0 = any"),
    ] = 256
    keepalive_seconds: Annotated[
        Seconds, setting("seconds that a client's connection may wait for its next request")
    ] = 75.0
    keepalive_requests: Annotated[
        Count, setting("requests on one connection before it is closed")
    ] = 1000
    write_idle_seconds: Annotated[
        Seconds, setting("seconds until a client that takes nothing of its answer is cut off")
    ] = 60.0
    shed_lag_seconds: Annotated[
        SecondsOrNone,
        setting("a worker whose loop lags by so many seconds refuses new requests; 0 = never"),
    ] = 1.0
    shed_memory_mib: Annotated[
        CountOrNone,
        setting("a worker that holds more memory than this refuses new requests; 0 = never"),
    ] = 0
    mirror_requests: Annotated[
        Count, setting("copies of requests under way per worker; what is beyond is not copied")
    ] = 64
    mirror_per_second: Annotated[
        Count, setting("copies of requests that each worker begins in a second")
    ] = 200
    mirror_body_bytes: Annotated[
        Count, setting("bytes of a request's body; longer ones are not copied")
    ] = 1_048_576
    mirror_answer_bytes: Annotated[
        CountOrNone, setting("bytes kept of each of two answers that are compared")
    ] = 65_536


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """How endpoints are spoken to; a route's own timeouts win."""

    connect_seconds: Annotated[Seconds, setting("seconds until a connection must stand")] = 5.0
    first_byte_seconds: Annotated[
        Seconds, setting("seconds from the request's end to the first byte of its answer")
    ] = 300.0
    idle_seconds: Annotated[
        Seconds, setting("seconds that an endpoint may pause in the middle of an answer")
    ] = 300.0
    total_seconds: Annotated[
        SecondsOrNone, setting("seconds for a request from first to last byte; 0 = no limit")
    ] = 0.0
    queue_seconds: Annotated[
        Seconds, setting("seconds that a request may wait for a place at a busy version")
    ] = 5.0
    keepalive_seconds: Annotated[
        Seconds,
        setting("seconds that an idle connection is kept; stay below what the endpoints keep"),
    ] = 4.0
    allowed_networks: Annotated[
        tuple[str, ...],
        setting("networks that endpoints may be in; private = loopback and private ones, * = any"),
    ] = ("*",)
    denied_networks: Annotated[
        tuple[str, ...],
        setting(
            "networks that no endpoint may be in, whatever is allowed; unsafe = link-local, "
            "metadata services of clouds, 0.0.0.0, multicast"
        ),
    ] = ("unsafe",)
    allowed_ports: Annotated[
        tuple[str, ...], setting("ports that endpoints may have, as in 443 or 8000-8999; * = any")
    ] = ("*",)
    tls_ca: Annotated[
        str, setting("CA file that endpoints' certificates must chain to; empty = the system's")
    ] = ""
    tls_cert: Annotated[str, setting("client certificate file")] = ""
    tls_key: Annotated[str, setting("client key file")] = ""
    tls_verify: Annotated[
        bool, setting("verify endpoints' certificates; false only where nothing is at stake")
    ] = True


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What answers tell of the decision."""

    version_header: Annotated[bool, setting("send X-Graygate-Version: who answered")] = True
    reason_header: Annotated[bool, setting("send X-Graygate-Reason: why that version")] = True


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's port."""

    host: Annotated[str, setting("address the admin port binds to")] = "127.0.0.1"
    port: Annotated[Port, setting("admin port: API, health, metrics")] = 8081
    token: Annotated[
        Secret, setting("bearer token; without one the admin port stays on loopback")
    ] = Secret()
    hosts: Annotated[
        tuple[str, ...],
        setting("names that callers may call the admin port by, besides addresses; * = any"),
    ] = ()
    tls_cert: Annotated[
        str, setting("certificate chain file; with it the admin port speaks TLS only")
    ] = ""
    tls_key: Annotated[str, setting("key file of the certificate")] = ""
    session_idle_seconds: Annotated[
        Seconds, setting("seconds until a session of the console ends that nobody uses")
    ] = 1800.0
    session_seconds: Annotated[
        Seconds, setting("seconds until a session of the console ends in any case")
    ] = 43_200.0
    four_eyes: Annotated[
        bool,
        setting(
            "what gives a candidate more waits for the consent of a second person, an approver; "
            "needs a token"
        ),
    ] = False
    proposal_seconds: Annotated[
        Seconds, setting("seconds that such a change may wait for consent")
    ] = 86_400.0


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway tells about itself on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], setting("least severity that is written")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"], setting("auto = text on a terminal, else JSON lines")
    ] = "auto"


class AccessLog(msgspec.Struct, frozen=True, kw_only=True):
    """One JSON line for each request, written by the workers."""

    path: Annotated[
        str,
        setting(
            "stdout, stderr or a file; empty = none; auto = stdout, unless a person looks at it"
        ),
    ] = "auto"
    sample: Annotated[
        Share,
        setting("share of ordinary requests in it; errors, cut and slow ones are always in it"),
    ] = 1.0
    slow_seconds: Annotated[
        SecondsOrNone, setting("seconds from which on a request is slow; 0 = none is")
    ] = 60.0
    units: Annotated[
        Literal["hashed", "plain", "none"],
        setting("how ids of users are shown; hashed = as pseudonyms that only the key gives away"),
    ] = "hashed"
    units_key: Annotated[
        Secret, setting("key of the pseudonyms; empty = a new one whenever the gateway starts")
    ] = Secret()
    client_ip: Annotated[bool, setting("show the address of the client")] = True


class Tracing(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of sampled requests, sent to a collector; needs the extra otel."""

    otlp_url: Annotated[
        str, setting("OTLP/HTTP collector, as in http://localhost:4318; empty = no spans")
    ] = ""
    sample: Annotated[
        Share, setting("share of requests without traceparent that a trace is begun for")
    ] = 0.0
    service_name: Annotated[str, setting("service.name of the spans")] = "graygate"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """Where releases find metrics of your own, and how answers are compared."""

    prometheus_url: Annotated[
        str,
        setting("Prometheus that a plan's own metrics are asked of, as in http://localhost:9090"),
    ] = ""
    prometheus_token: Annotated[Secret, setting("bearer token for it; empty = none")] = Secret()
    prometheus_seconds: Annotated[
        Seconds, setting("seconds to wait for an answer; a late one counts as no data")
    ] = 5.0
    compare_plugins: Annotated[
        tuple[str, ...],
        setting("functions that may compare texts, as module:function; each has 2 s for a pair"),
    ] = ()
    shadow_examples: Annotated[
        bool, setting("keep pieces of the last answers that differed, redacted, in memory")
    ] = True
    drill_days: Annotated[
        Annotated[float, Meta(ge=0, le=3650)],
        setting("days between two drills of each route, where no plan says how many; 0 = none"),
    ] = 0.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All start-up settings; built once, never changed."""

    listen: Listen = Listen()
    process: Process = Process()
    redis: Redis = Redis()
    routing: Routing = Routing()
    limits: Limits = Limits()
    upstream: Upstream = Upstream()
    answers: Answers = Answers()
    admin: Admin = Admin()
    log: Log = Log()
    access_log: AccessLog = AccessLog()
    tracing: Tracing = Tracing()
    release: Release = Release()
    notify: tuple[Channel, ...] = ()  # see gateway/config/channel.py
