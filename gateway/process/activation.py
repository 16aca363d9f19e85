"""Listening sockets that a service manager opened for us, as systemd does for a .socket unit.

It hands over descriptors from 3 on, and names them. We take one called `data` and one called
`admin`, each of which may be missing; a single one without a name of its own is the data port.

All workers accept from the one data socket: the manager's is another user's, so no worker could
bind a further one to its address. A shared queue spreads connections less evenly, and has one
advantage: whoever is free takes the next, so nobody waits for a worker that is being replaced. The
manager keeps the socket open: while the gateway restarts, connections wait and none is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import Problem, SettingsError

_FIRST: Final = 3
_PID, _COUNT, _NAMES = "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"
DATA, ADMIN = "data", "admin"
_REMEDY = "see deploy/systemd"


@dataclass(frozen=True, slots=True)
class Passed:
    """What was handed over."""

    data: socket.socket | None = None
    admin: socket.socket | None = None

    def close(self) -> None:
        for one in (self.data, self.admin):
            if one is not None:
                one.close()


def take_passed(environ: MutableMapping[str, str], pid: int, first: int = _FIRST) -> Passed:
    """The sockets meant for this process; SettingsError when they are not what we can use.

    The variables are taken out of `environ`: no child of ours must believe that they are its own.
    """
    meant_for, count = environ.pop(_PID, ""), environ.pop(_COUNT, "")
    names = environ.pop(_NAMES, "")
    if meant_for != str(pid) or not count.isdecimal():
        return Passed()
    found: dict[str, socket.socket] = {}
    try:
        for name, fd in _named(names, int(count), first):
            found[name] = _opened(name, fd, name in found)
    except BaseException:
        Passed(*found.values()).close()
        raise
    return Passed(found.get(DATA), found.get(ADMIN))


def _named(names: str, count: int, first: int) -> Iterator[tuple[str, int]]:
    given = names.split(":") if names else []
    for number in range(count):
        name = given[number] if number < len(given) else ""
        if name not in (DATA, ADMIN):
            if count > 1:
                what = f"socket {number} is named {name!r}; name them data and admin, {_REMEDY}"
                raise SettingsError((Problem(_NAMES, what),))
            name = DATA
        yield name, first + number


def _opened(name: str, fd: int, is_second: bool) -> socket.socket:
    if is_second:
        what = f"two sockets are named {name}; pass one, {_REMEDY}"
        raise SettingsError((Problem(_NAMES, what),))
    try:
        opened = socket.socket(fileno=fd)
    except OSError as error:
        what = f"descriptor {fd} for {name} is no socket ({error.strerror})"
        raise SettingsError((Problem(_COUNT, what),)) from error
    opened.set_inheritable(False)
    if (
        opened.family not in (socket.AF_INET, socket.AF_INET6)
        or opened.type != socket.SOCK_STREAM
        or not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        opened.close()
        what = f"the socket for {name} does not listen on TCP; use ListenStream=PORT, {_REMEDY}"
        raise SettingsError((Problem(_COUNT, what),))
    return opened
