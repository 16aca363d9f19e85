"""Every error of ours, as data.

    GraygateError
    ├── SettingsError          start-up settings are wrong: all problems at once, exit code 2
    ├── UsageError             a command or call was used wrongly
    │   ├── NotFoundError      it names a route, version or revision that is not there
    │   └── RefusedError       it asks for a state that the contract forbids
    ├── ConflictError          somebody else wrote first
    ├── ChannelError           control and a worker do not understand each other
    ├── GatewayUnreachable     a command found no gateway that answers
    └── StoreError             the store did not do what was asked
        ├── StoreUnavailable   no connection, frozen, loading, failing over
        ├── StoreDenied        wrong password, missing right
        └── StoreReadOnly      a replica, or a store that is out of memory

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


class NotFoundError(UsageError):
    """The call names something that does not exist."""

    status = 404
    code = "not_found"


class RefusedError(UsageError):
    """The call asks for a state that the contract forbids."""

    status = 422
    code = "refused"


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
