"""One connection to the store: opened with a deadline, asked with a deadline, dead for good.

A `Link` never reconnects and never repeats a command: whoever owns it opens another one. Error
replies arrive as errors of ours (see `reply`); one that says that this is the wrong server now
(MOVED, or READONLY from what was a master) ends the link. Do not mix bulk work and
signs of life on one link: replies come in order, so a deadline counts the commands in front too.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from typing import Self

from gateway.config.secret import Secret
from gateway.errors import StoreDenied, StoreError, StoreUnavailable
from gateway.state.reply import Moved
from gateway.state.url import Address
from gateway.state.wire import Argument, Command, OnPush, Wire, system_words

CLIENT_NAME = "graygate"
ROLES = {b"master": "master", b"slave": "replica", b"replica": "replica", b"sentinel": "sentinel"}


class Link:
    """A connected, authenticated client on one database of one server."""

    def __init__(self, address: Address, wire: Wire, timeout_seconds: float) -> None:
        self.address = address
        self.protocol = 2  # of RESP; only 3 carries pushes
        self.role = ""  # at the time of connecting: master, replica, sentinel; "" = not told
        self.mode = ""  # standalone, cluster, sentinel; "" = not told
        self.version = ""  # of the server, for people
        self._wire = wire
        self._timeout_seconds = timeout_seconds

    @classmethod
    async def connect(
        cls,
        address: Address,
        *,
        username: str = "",
        password: Secret = Secret(),  # noqa: B008  # immutable
        timeout_seconds: float = 1.0,
        tls: ssl.SSLContext | None = None,
        on_push: OnPush | None = None,
    ) -> Self:
        """Connect and log in, or raise StoreUnavailable or StoreDenied.

        Each step, and later each call, may take `timeout_seconds`. `on_push` is called for every
        push frame; it must be quick and must not raise.
        """
        wire = Wire(str(address), on_push)
        link = cls(address, wire, timeout_seconds)
        try:
            await _open(wire, address, timeout_seconds, tls)
            await link._log_in(username, password)
            if address.db:
                await link.call("SELECT", address.db)
        except BaseException:
            wire.end()
            await wire.wait_lost()
            raise
        return link

    # -- asking ------------------------------------------------------------------

    async def call(self, *args: Argument, timeout_seconds: float | None = None) -> object:
        """The reply to one command; an error reply is raised."""
        [reply] = await self.pipeline([args], timeout_seconds=timeout_seconds)
        if isinstance(reply, StoreError):
            raise reply
        return reply

    async def pipeline(
        self, commands: Sequence[Command], *, timeout_seconds: float | None = None
    ) -> list[object]:
        """The replies to commands that are sent in one go; error replies stand in as values."""
        seconds = timeout_seconds or self._timeout_seconds
        replies = await self._wire.request(commands, seconds)
        for reply in replies:
            if isinstance(reply, StoreError):
                self._end_if_misplaced(reply)
        return replies

    async def transaction(
        self, commands: Sequence[Command], *, timeout_seconds: float | None = None
    ) -> list[object]:
        """The replies to commands that run as one step (MULTI, EXEC).

        What fails while running stands in as a value. What the store refuses to queue is raised,
        and then nothing ran.
        """
        if not commands:
            return []
        framed = [("MULTI",), *commands, ("EXEC",)]
        *queued, result = await self.pipeline(framed, timeout_seconds=timeout_seconds)
        for reply in queued:
            if isinstance(reply, StoreError):
                raise reply
        if isinstance(result, StoreError):
            raise result
        if not isinstance(result, list) or len(result) != len(commands):
            failure = StoreUnavailable(f"the store at {self.address} answered EXEC wrongly")
            self._wire.end(failure)
            raise failure
        return result

    async def script(
        self,
        text: str,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        *,
        timeout_seconds: float | None = None,
    ) -> object:
        """Run a Lua script, by its hash when the store has it already."""
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        rest = (len(keys), *keys, *args)
        try:
            return await self.call("EVALSHA", sha, *rest, timeout_seconds=timeout_seconds)
        except StoreError as error:
            if not error.reply.startswith("NOSCRIPT"):
                raise
        return await self.call("EVAL", text, *rest, timeout_seconds=timeout_seconds)

    async def ask_role(self) -> str:
        """What the server is now: master, replica, sentinel; "" when it says something else."""
        return _role(await self.call("ROLE"))

    # -- life --------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """True as soon as nothing can be asked any more."""
        return self._wire.is_closed

    @property
    def failure(self) -> StoreUnavailable | None:
        """What ended the link; None while it lives and after `close()`."""
        return self._wire.failure

    def close(self) -> None:
        """End the link; everybody who waits for a reply gets StoreUnavailable. May be repeated."""
        self._wire.end()

    async def wait_closed(self) -> None:
        """Return when the link has ended, by whatever cause, and its socket is closed."""
        await self._wire.wait_lost()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else self.role or "open"
        return f"<Link {self.address} db {self.address.db}, RESP{self.protocol}, {state}>"

    def _end_if_misplaced(self, error: StoreError) -> None:
        """Without this a link to the wrong server would be refused for ever, and never reopened."""
        is_demoted = error.reply.startswith("READONLY") and self.role == "master"
        if is_demoted or isinstance(error, Moved):
            self._wire.end(StoreUnavailable(str(error), error.reply))

    # -- logging in ----------------------------------------------------------------

    async def _log_in(self, username: str, password: Secret) -> None:
        words: list[Argument] = ["HELLO", 3]
        has_credentials = bool(username or password)
        if has_credentials:
            words += ["AUTH", username or "default", password.reveal()]
        try:
            self._note_hello(await self.call(*words, "SETNAME", CLIENT_NAME))
        except StoreUnavailable as error:
            if not self._wire.is_cut:
                raise
            raise StoreUnavailable(f"{error}; {self._advice_when_cut()}") from None
        except StoreError as error:
            # A server before Redis 6, or a proxy, knows no HELLO, and so no pushes. Where HELLO is
            # renamed, NOAUTH is the answer even to our password.
            is_renamed = has_credentials and error.reply.startswith("NOAUTH")
            if isinstance(error, StoreDenied) and not is_renamed:
                raise
            await self._log_in_by_old_ways(username, password)

    def _advice_when_cut(self) -> str:
        if self.address.tls:
            return "if it asks for a client certificate, set redis.tls_cert and redis.tls_key"
        return "if it expects TLS, use a rediss:// URL"

    def _note_hello(self, reply: object) -> None:
        if not isinstance(reply, Mapping):
            raise StoreError("the store answered HELLO without RESP3")
        self.protocol = 3
        self.role = _role([reply.get(b"role")])
        self.mode = _text(reply.get(b"mode"))
        self.version = _text(reply.get(b"version"))

    async def _log_in_by_old_ways(self, username: str, password: Secret) -> None:
        if username or password:
            user = [username] if username else []
            await self.call("AUTH", *user, password.reveal())
        # One of the two may be unknown or forbidden, and nothing depends on either.
        replies = await self.pipeline([("CLIENT", "SETNAME", CLIENT_NAME), ("ROLE",)])
        self.role = _role(replies[1])


async def _open(
    wire: Wire, address: Address, seconds: float, context: ssl.SSLContext | None
) -> None:
    loop = asyncio.get_running_loop()
    if address.tls and context is None:
        raise StoreUnavailable(f"no TLS settings were given for the store at {address}")
    try:
        async with asyncio.timeout(seconds):
            if address.path:
                await loop.create_unix_connection(lambda: wire, address.path)
            else:
                await loop.create_connection(
                    lambda: wire,
                    address.host,
                    address.port,
                    ssl=context if address.tls else None,
                )
    except TimeoutError:
        text = f"no connection to the store at {address} within {seconds:g} s"
        raise StoreUnavailable(text) from None
    except ssl.SSLCertVerificationError as error:
        text = (
            f"the certificate of the store at {address} is not trusted"
            f" ({error.verify_message}); check redis.tls_ca and the host name in redis.url"
        )
        raise StoreUnavailable(text) from None
    except ssl.SSLError as error:
        reason = (error.reason or "broken off").replace("_", " ").lower()
        text = f"no TLS with the store at {address} ({reason}); check redis.url and redis.tls_*"
        raise StoreUnavailable(text) from None
    except OSError as error:
        text = f"no connection to the store at {address} ({system_words(error)}); is it running?"
        raise StoreUnavailable(text) from None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _role(reply: object) -> str:
    """The role in a reply to ROLE; "" when there is none in it."""
    match reply:
        case [bytes() as word, *_]:
            return ROLES.get(word, "")
    return ""
