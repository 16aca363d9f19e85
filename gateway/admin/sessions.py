"""Sessions of the console: a cookie in the place of a token, for as long as the token holds.

They live in this process only: nothing in the store opens one, and a gateway that is started anew
asks everybody to sign in again. A session has no rights of its own; whoever holds it is looked up
by its token at every call, so that it ends when the token does.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass

MOST_SESSIONS = 1000
MOST_OF_A_TOKEN = 20


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    token: str  # id of a token of the store; "" = the one of the settings
    csrf: str  # what its writes must repeat in a header, which no other page can set
    began: float
    seen: float

    def ends(self, idle_seconds: float, seconds: float) -> float:
        return min(self.began + seconds, self.seen + idle_seconds)


class Sessions:
    """All sessions by the digest of their cookie; the oldest make room."""

    def __init__(self, idle_seconds: float, seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.seconds = seconds
        self._known: OrderedDict[bytes, Session] = OrderedDict()

    def __repr__(self) -> str:
        return f"<{len(self._known)} Sessions>"

    def begin(self, token: str, now: float) -> tuple[str, Session]:
        """A new session and the value of its cookie, which is kept nowhere."""
        of_token = [key for key, one in self._known.items() if one.token == token]
        for key in of_token[: max(0, len(of_token) - MOST_OF_A_TOKEN + 1)]:
            del self._known[key]
        if len(self._known) >= MOST_SESSIONS:
            self._known.popitem(last=False)
        value = secrets.token_urlsafe(32)
        session = Session(token, secrets.token_urlsafe(32), now, now)
        self._known[_digest(value)] = session
        return value, session

    def find(self, value: str, now: float) -> Session | None:
        """The session with this cookie, unless it is over; to be found is no use of it."""
        key = _digest(value)
        session = self._known.get(key)
        if session is None:
            return None
        if now >= session.ends(self.idle_seconds, self.seconds):
            del self._known[key]
            return None
        return session

    def end(self, value: str) -> bool:
        return self._known.pop(_digest(value), None) is not None


def is_csrf_of(session: Session, given: str) -> bool:
    return hmac.compare_digest(_digest(given), _digest(session.csrf))


def _digest(text: str) -> bytes:
    # A header may hold any bytes; those that are no UTF-8 arrive as surrogates.
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
