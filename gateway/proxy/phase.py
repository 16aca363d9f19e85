"""How far an exchange is."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """In the order of a life; from STREAMING on, something of the answer has gone downstream."""

    READING = 0  # the body, which the decision needs
    QUEUED = 1  # for a place among the version's requests
    CONNECTING = 2
    WAITING = 3  # for the head of the answer
    STREAMING = 4
    TUNNEL = 5
    DONE = 6
