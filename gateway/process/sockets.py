"""Opens everything the gateway listens on, before any child is started.

On Linux each worker has a socket of its own on the data port, and the kernel spreads connections
over them; elsewhere, where it does not spread, all workers accept from one socket. So they do with
a socket that a service manager has passed (see activation.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

from gateway.config.settings import Settings
from gateway.errors import Problem, SettingsError
from gateway.process.activation import Passed

_LONGEST_UNIX_PATH = 103  # macOS: 104 bytes with the final zero; Linux: 108
_CHANNEL_NAME = "channel"
_ADMIN_BACKLOG = 128
_FOLDER = "graygate-"

_SO_ATTACH_FILTER = 26
# BPF, as socket filters get a TCP segment: its flags are byte 13, and SYN is 2.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x45, 0, 1, 0x02),  # is SYN set?
    (0x06, 0, 0, 0),  # yes: drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # no: let it through
)


@dataclass(frozen=True, slots=True)
class Sockets:
    """All listening sockets of a gateway, owned by the supervisor."""

    data: tuple[socket.socket, ...]  # one per worker
    admin: socket.socket
    channel: socket.socket
    runtime_dir: Path
    is_passed: bool = False  # whether somebody else keeps the data port's socket, and its queue
    data_scheme: str = "http"
    admin_scheme: str = "http"

    @property
    def channel_path(self) -> str:
        return str(self.runtime_dir / _CHANNEL_NAME)

    @property
    def data_url(self) -> str:
        return url_of(self.data[0], self.data_scheme)

    @property
    def admin_url(self) -> str:
        return url_of(self.admin, self.admin_scheme)

    def close_data(self) -> None:
        """New connections are refused as soon as the workers let go of the port as well."""
        for one in self.data:
            one.close()

    def close(self) -> None:
        self.close_data()
        self.admin.close()
        self.channel.close()


def open_sockets(
    settings: Settings, workers: int, passed: Passed | None = None, parent: str = ""
) -> Sockets:
    """Opens them all or none, but for those that were passed; `parent` is for the channel's folder.

    SettingsError names the address that cannot be had.
    """
    given = Passed() if passed is None else passed
    with contextlib.ExitStack() as undo:
        undo.callback(given.close)
        data = open_data(settings, workers) if given.data is None else _shared(given.data, workers)
        for one in data:
            undo.callback(one.close)
        admin = open_admin(settings) if given.admin is None else given.admin
        undo.callback(admin.close)
        runtime_dir = make_runtime_dir(parent)
        undo.callback(runtime_dir.rmdir)
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.callback(channel.close)
        channel.bind(str(runtime_dir / _CHANNEL_NAME))
        channel.listen(settings.listen.backlog)
        undo.pop_all()
    return Sockets(
        data,
        admin,
        channel,
        runtime_dir,
        is_passed=given.data is not None,
        data_scheme="https" if settings.listen.tls_cert else "http",
        admin_scheme="https" if settings.admin.tls_cert else "http",
    )


def open_data(settings: Settings, workers: int) -> tuple[socket.socket, ...]:
    listen = settings.listen
    family, address = _resolve("listen", listen.host, listen.port)
    # Sockets that share a port do not mind a second gateway on it: ask for it alone, first.
    alone = _listen("listen", family, address, listen.backlog, share=False)
    if sys.platform != "linux":
        return _shared(alone, workers)
    address = alone.getsockname()
    alone.close()
    with contextlib.ExitStack() as undo:
        opened = []
        for _ in range(workers):
            one = _listen("listen", family, address, listen.backlog, share=True)
            undo.callback(one.close)
            opened.append(one)
        undo.pop_all()
    return tuple(opened)


def _shared(one: socket.socket, workers: int) -> tuple[socket.socket, ...]:
    return (one, *(one.dup() for _ in range(workers - 1)))


def open_admin(settings: Settings) -> socket.socket:
    family, address = _resolve("admin", settings.admin.host, settings.admin.port)
    return _listen("admin", family, address, _ADMIN_BACKLOG, share=False)


def make_runtime_dir(parent: str = "") -> Path:
    """A new folder that only this user may enter, short enough for the name of a Unix socket."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent or None))
        if len(os.fsencode(folder / _CHANNEL_NAME)) > _LONGEST_UNIX_PATH:
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir="/tmp"))
    except OSError as error:  # a read-only root, most likely
        what = f"no temporary folder can be made ({error.strerror}); mount a writable one on /tmp"
        raise SettingsError((Problem("TMPDIR", what),)) from error
    return folder


def turn_away(listening: socket.socket) -> bool:
    """From now on new connections are not answered, and what waits in the queue stays there.

    A connection that the kernel has accepted when its socket is closed is reset, and its client
    took it for open. So before a socket is closed that nobody else has, the kernel is told to drop
    what opens a connection (SYN), while handshakes that are under way end in the queue. Measured
    with 24 clients that connect without a pause: without this 3 or 4 were reset at each end, with
    it none. False where that cannot be done.
    """
    if sys.platform != "linux":
        return False
    # Not with ctypes: where memory may not be both written and executed it may fail to load.
    code = array("B", b"".join(struct.pack("HBBI", *one) for one in _NO_SYN))
    program = struct.pack("HP", len(_NO_SYN), code.buffer_info()[0])
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """Where to connect to from this machine."""
    host, port = listening.getsockname()[:2]
    if host == "0.0.0.0":
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


_Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def _resolve(section: str, host: str, port: int) -> tuple[socket.AddressFamily, _Address]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError) as error:
        what = f"{host!r} is no address of this machine ({error}); give an IP address"
        raise SettingsError((Problem(f"{section}.host", what),)) from error
    family, _, _, _, address = found[0]
    return family, address


def _listen(
    section: str, family: socket.AddressFamily, address: _Address, backlog: int, *, share: bool
) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Else a restart within a minute finds the port busy with connections that have ended.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "::" means every address, also those of IPv4.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        opened.bind(address)
        opened.listen(backlog)
    except OSError as error:
        opened.close()
        raise SettingsError((_why_not(section, address, error),)) from error
    return opened


def _why_not(section: str, address: _Address, error: OSError) -> Problem:
    host, port = str(address[0]), address[1]
    if error.errno == errno.EADDRINUSE:
        what = f"port {port!r} on {host} is taken; end the program that has it, or choose another"
        return Problem(f"{section}.port", what)
    if error.errno in (errno.EACCES, errno.EPERM):
        what = f"this user may not open port {port!r}; choose one above 1023"
        return Problem(f"{section}.port", what)
    if error.errno == errno.EADDRNOTAVAIL:
        what = f"{host} is no address of this machine; choose one that it has"
        return Problem(f"{section}.host", what)
    return Problem(f"{section}.host", f"cannot listen on {host} port {port!r}: {error.strerror}")
