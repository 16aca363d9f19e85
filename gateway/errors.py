"""Every error of ours, as data.

    GraygateError
    ├── SettingsError          start-up settings are wrong: all problems at once, exit code 2
    ├── UsageError             a command or call was used wrongly
    │   ├── ForbiddenError     the caller may not do that
    │   ├── NotFoundError      it names a route, version or revision that is not there
    │   ├── PlanError          a release's plan is wrong: all problems at once
    │   └── RefusedError       it asks for a state that the contract forbids
    │       └── InUseError     it takes away what something else needs
    ├── ConsentError           it waits for the consent of a second person
    ├── ConflictError          somebody else wrote first
    ├── ChannelError           control and a worker do not understand each other
    ├── GatewayUnreachable     a command found no gateway that answers
    ├── StoreError             the store did not do what was asked
    │   ├── StoreUnavailable   no connection, frozen, loading, failing over
    │   ├── StoreDenied        wrong password, missing right
    │   └── StoreReadOnly      a replica, or a store that is out of memory
    ├── DownstreamError        a request that cannot be understood or carried
    └── UpstreamError          an endpoint, or all of a version, did not do its part
        ├── ConnectFailed          refused, unreachable, no such name, TLS handshake failed
        ├── ConnectTimeout         no connection in time
        ├── UpstreamTimeout        connected, but no (further) answer in time
        ├── UpstreamProtocolError  what it answers is not HTTP that can be trusted
        ├── UpstreamGone           it closed the connection before it answered
        ├── NoEndpoint             no endpoint of the version may be used
        └── Overflow               as many requests or connections as the route allows

Each class fixes where the fault lies (`source`), the HTTP status it is answered with, whether the
same call may be sent again (`retry`), and a stable `code` that clients may switch on. Exceptions of
libraries are translated into these once, where the library is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """On whose side the fault lies."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    STORE = "store"
    OPERATOR = "operator"
    INTERNAL = "internal"


class Retry(StrEnum):
    """Whether the same call may be made again by a machine."""

    NEVER = "never"
    IF_UNSENT = "if_unsent"
    IF_REUSED = "if_reused"
    LATER = "later"


class GraygateError(Exception):
    """Base of all errors of ours; the message is one sentence that says what to do."""

    source = Source.INTERNAL
    status = 500
    retry = Retry.NEVER
    code = "internal_error"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and how to mend it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class SettingsError(GraygateError):
    """Start-up settings that cannot be used."""

    source = Source.OPERATOR
    status = 500
    code = "settings_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class UsageError(GraygateError):
    """A command or an API call that cannot be understood or carried out as given."""

    source = Source.OPERATOR
    status = 400
    code = "bad_request"


class ForbiddenError(UsageError):
    """The caller's role does not go that far."""

    status = 403
    code = "forbidden"


class NotFoundError(UsageError):
    """The call names something that does not exist."""

    status = 404
    code = "not_found"


class RefusedError(UsageError):
    """The call asks for a state that the contract forbids."""

    status = 422
    code = "refused"

    def __init__(self, text: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(text)
        self.problems = problems  # one by one, where they have places of their own


class InUseError(RefusedError):
    """What shall go is still used; the message says by what."""

    status = 409
    code = "in_use"


class PlanError(UsageError):
    """A plan of a release that cannot be used."""

    status = 422
    code = "plan_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class ConsentError(GraygateError):
    """What was asked for is not done yet: it gives a candidate more, and that takes two people."""

    source = Source.OPERATOR
    status = 202
    code = "waits_for_consent"

    def __init__(
        self,
        text: str,
        wishes: tuple[object, ...] = (),
        why: str = "",
        written: tuple[str, ...] = (),
    ) -> None:
        super().__init__(text)
        self.wishes = wishes  # what is to be proposed
        self.why = why
        self.written = written  # what was done all the same, of several


class ConflictError(GraygateError):
    """The route changed between the caller's reading and writing; read again, then decide."""

    source = Source.OPERATOR
    status = 409
    code = "revision_conflict"


class ChannelError(GraygateError):
    """What came over the channel between control and a worker cannot be used; connect anew."""

    retry = Retry.LATER
    code = "channel_error"


class GatewayUnreachable(GraygateError):
    """No gateway answers a command; whether it was carried out may be unknown."""

    source = Source.OPERATOR
    status = 503
    retry = Retry.LATER
    code = "gateway_unreachable"


class StoreError(GraygateError):
    """The store did not do what was asked; nothing was changed unless the message says so."""

    source = Source.STORE
    status = 503
    code = "store_error"

    def __init__(self, message: str, reply: str = "") -> None:
        super().__init__(message)
        self.reply = reply  # the store's own words, when it answered with an error


class StoreUnavailable(StoreError):
    """No usable connection to the store."""

    retry = Retry.LATER
    code = "store_unavailable"


class StoreDenied(StoreError):
    """The store refuses our user, password, command or key."""

    code = "store_denied"


class StoreReadOnly(StoreError):
    """The store takes no writes now."""

    retry = Retry.LATER
    code = "store_read_only"


class DownstreamError(GraygateError):
    """A request that cannot be understood or carried; its connection always closes.

    `text` goes to the client as it is; `code` stands for what was wrong with the request.
    """

    source = Source.DOWNSTREAM

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class UpstreamError(GraygateError):
    """An endpoint did not do its part.

    `text` may go to clients, so it holds no address; `detail` is for our log only.
    """

    source = Source.UPSTREAM
    status = 502
    code = "upstream_error"
    kind = "protocol"  # the label of graygate_errors_total

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail


class ConnectFailed(UpstreamError):
    """No connection to the endpoint can be had; nothing of the request was sent on it."""

    retry = Retry.IF_UNSENT
    code = "upstream_connect_failed"
    kind = "connect"


class ConnectTimeout(UpstreamError):
    """The endpoint did not take the connection in time; nothing of the request was sent on it."""

    status = 504
    retry = Retry.IF_UNSENT
    code = "upstream_connect_timeout"
    kind = "timeout"


class UpstreamTimeout(UpstreamError):
    """The endpoint took the request and then was silent for too long; it may have acted on it."""

    status = 504
    code = "upstream_timeout"
    kind = "timeout"


class UpstreamProtocolError(UpstreamError):
    """The endpoint answers with something that is not HTTP, or whose end cannot be known."""

    code = "upstream_protocol_error"


class UpstreamGone(UpstreamError):
    """The endpoint closed before it answered; on a kept connection it may just have timed out."""

    retry = Retry.IF_REUSED
    code = "upstream_gone"
    kind = "connect"


class NoEndpoint(UpstreamError):
    """No endpoint of the version may be used now."""

    status = 503
    retry = Retry.LATER
    code = "no_endpoint"
    kind = "no_endpoint"


class Overflow(UpstreamError):
    """The version or endpoint has all the requests or connections that the route allows."""

    status = 503
    retry = Retry.LATER
    code = "overloaded"
    kind = "overflow"
