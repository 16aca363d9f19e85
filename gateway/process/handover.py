"""What the supervisor hands to a child, and the thread of life between the two.

A child inherits one end of a socket pair, whose number is its only argument. The first thing on
it is the child's start-up data: settings hold secrets, so they go neither by argument nor by
environment, where other users and child processes could read them. From then on each side says
single words to the other, one a line, and its end is the sign that the other process is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from gateway.config.secret import Secret
from gateway.config.settings import Admin, Redis, Release, Settings
from gateway.errors import ChannelError
from gateway.metrics.standing import Standing

# What a child says.
READY: Final = "ready"  # control: the admin port answers; worker: it accepts connections
TABLE: Final = "table"  # worker: it holds a table to route by
ALIVE: Final = "alive"  # every two seconds: its loop runs
# What the supervisor says.
RETIRE: Final = "retire"  # to a worker: another one has taken your place; end when you are idle
_STANDING: Final = "standing "  # to control, with the supervisor's own state as JSON behind it

_LENGTH_BYTES = 4


class ControlBoot(msgspec.Struct, frozen=True, kw_only=True):
    """What the control process starts with."""

    settings: Settings
    runtime_dir: str
    channel_fd: int  # listening Unix socket for the workers
    admin_fd: int  # listening socket of the admin port
    data_url: str
    admin_url: str


class WorkerBoot(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker starts with."""

    settings: Settings
    index: int
    channel_path: str
    data_fd: int  # listening socket of the data port
    owns_queue: bool = True  # nobody but us will ever take what waits in the socket
    must_hold_table: bool = False  # it takes over from a worker that routes: no table, no accepting


BootT = TypeVar("BootT", ControlBoot, WorkerBoot)


def settings_for_worker(settings: Settings, units_key: Secret) -> Settings:
    """Without what a worker has no business knowing: the store's and the operators' secrets.

    `units_key` is what all workers make pseudonyms with when the settings name no key.
    """
    access_log = settings.access_log
    if not access_log.units_key:
        access_log = msgspec.structs.replace(access_log, units_key=units_key)
    return msgspec.structs.replace(
        settings,
        redis=Redis(),
        admin=Admin(),
        access_log=access_log,
        release=Release(),
        notify=(),
    )


def encode_boot(boot: ControlBoot | WorkerBoot) -> bytes:
    body = msgspec.json.encode(boot, enc_hook=_reveal)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def receive_boot(lifeline: socket.socket, kind: type[BootT]) -> BootT:
    """Reads the start-up data.

    ChannelError when the supervisor went before it had sent all, or is of a release so different
    that this one cannot work for it.
    """
    length = int.from_bytes(_receive(lifeline, _LENGTH_BYTES), "big")
    body = _receive(lifeline, length)
    try:
        return msgspec.json.decode(body, type=kind, dec_hook=_conceal)
    except msgspec.DecodeError as error:
        raise ChannelError(
            f"The supervisor is of another release and hands over what this one cannot use "
            f"({error}); start the gateway anew."
        ) from error


def _receive(lifeline: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = lifeline.recv(count - len(data))
        if not part:
            raise ChannelError("The supervisor ended before it had sent the start-up settings.")
        data += part
    return bytes(data)


def _reveal(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"no way to hand over a {type(value).__name__}")


def _conceal(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"no way to take over a {kind.__name__}")


def standing_word(standing: Standing) -> str:
    """What the supervisor knows, as a word for control."""
    return _STANDING + msgspec.json.encode(standing).decode()


def standing_of(word: str) -> Standing | None:
    """The state in a word of the supervisor's; None when it says something else."""
    if not word.startswith(_STANDING):
        return None
    try:
        return msgspec.json.decode(word.removeprefix(_STANDING), type=Standing)
    except msgspec.DecodeError:  # of another release: what was known stays
        return None


class Lifeline:
    """The child's end: says words to the supervisor, hears words, and notices its end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._heard = b""
        self._on_word: Callable[[str], None] = _ignore
        self.supervisor_gone = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Lifeline {'cut' if self.supervisor_gone.is_set() else 'whole'}>"

    def start(self, on_word: Callable[[str], None]) -> None:
        self._on_word = on_word
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._hear)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def say(self, word: str) -> None:
        # A supervisor that is gone, or does not listen, is noticed by reading.
        with contextlib.suppress(OSError):
            self._socket.send(word.encode() + b"\n")

    def _hear(self) -> None:
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self.supervisor_gone.set()
            return
        *words, self._heard = (self._heard + data).split(b"\n")
        for word in words:
            self._on_word(word.decode())


def _ignore(_word: str) -> None:
    return
