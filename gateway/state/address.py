"""From the settings to a link: through Sentinels to the master, through a Cluster to our slot.

The place is found anew for every link and nothing is remembered between two of them, so that a
failover or a moved slot is followed by opening another link.
"""

from __future__ import annotations

import ssl
from dataclasses import replace

from gateway.config.settings import Redis
from gateway.errors import StoreDenied, StoreError, StoreUnavailable
from gateway.state.link import Link
from gateway.state.reply import Moved
from gateway.state.url import Address, Site, has_hash_tag, parse_url
from gateway.state.wire import OnPush, system_words

MAX_HOPS = 4  # from node to node of a Cluster that is being rearranged


async def open_link(settings: Redis, on_push: OnPush | None = None) -> Link:
    """A link to the server that holds our keys, logged in and on our database.

    Behind Sentinels it is a master by its own word. A plain address may be a replica: `role` tells.
    Raises StoreUnavailable or StoreDenied as a rule, another StoreError when the server refuses the
    database; SettingsError only for a URL that cannot be read.
    """
    has_tls_files = bool(settings.tls_ca or settings.tls_cert)
    site = parse_url(settings.url, tls=has_tls_files)
    opener = _Opener(settings, tls_context(settings) if _has_tls(site) else None, on_push)
    if site.has_sentinels:
        return await opener.by_sentinels(site)
    return await opener.by_slot(site.addresses[0])


def tls_context(settings: Redis) -> ssl.SSLContext:
    """What a TLS connection to the store checks and shows; files are read anew at each call."""
    where = "redis.tls_ca"
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca or None)
        if settings.tls_cert:
            where = "redis.tls_cert and redis.tls_key"
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None, _no_passphrase)
    except (OSError, ValueError) as error:
        text = f"the file of {where} cannot be used ({system_words(error)}); check path and content"
        raise StoreUnavailable(text) from None
    return context


def _has_tls(site: Site) -> bool:
    return any(address.tls for address in site.addresses)


def _no_passphrase() -> str:
    # Without this OpenSSL asks for the passphrase on the terminal and waits for ever.
    raise ValueError("the key is encrypted; give it without a passphrase")


class _Opener:
    """Opens links with one set of credentials."""

    def __init__(
        self, settings: Redis, context: ssl.SSLContext | None, on_push: OnPush | None
    ) -> None:
        self._settings = settings
        self._context = context
        self._on_push = on_push

    # -- Sentinels ---------------------------------------------------------------

    async def by_sentinels(self, site: Site) -> Link:
        """A link to the first master that a Sentinel names and that says so itself."""
        failures: dict[str, StoreError] = {}
        for sentinel in site.addresses:
            try:
                master = await self._ask_sentinel(sentinel, site)
                return await self._to_master(master)
            except StoreError as error:
                failures[str(sentinel)] = error
        heard = "; ".join(f"by {sentinel}: {error}" for sentinel, error in failures.items())
        text = f"no Sentinel leads to the master of {site.service!r}: {heard}"
        if all(isinstance(error, StoreDenied) for error in failures.values()):
            raise StoreDenied(text)
        raise StoreUnavailable(text)

    async def _ask_sentinel(self, sentinel: Address, site: Site) -> Address:
        settings = self._settings
        link = await Link.connect(
            sentinel,
            username=settings.sentinel_username,
            password=settings.sentinel_password,
            timeout_seconds=settings.timeout_seconds,
            tls=self._context,
        )
        async with link:
            reply = await link.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", site.service)
        match reply:
            case [bytes() as host, bytes() as port] if port.isdigit():
                name = host.decode(errors="replace")
                return Address(name, int(port), db=site.db, tls=sentinel.tls)
        text = f"it knows no master called {site.service!r}; check the name in redis.url"
        raise StoreUnavailable(text)

    async def _to_master(self, address: Address) -> Link:
        link = await self._connect(address)
        # A restarted old master is named until the Sentinels have agreed on the new one.
        if link.role != "master":
            await _shut(link)
            role = link.role or "server that does not tell its role"
            text = f"the server at {address} is no master but a {role}; wait for the failover"
            raise StoreUnavailable(text)
        return link

    # -- Cluster -----------------------------------------------------------------

    async def by_slot(self, address: Address) -> Link:
        """A link to `address`, or to the node of its Cluster that serves our slot."""
        for _ in range(MAX_HOPS):
            link = await self._connect(address)
            if link.mode == "sentinel":
                await _shut(link)
                text = f"{address} is a Sentinel; use redis+sentinel://{address}/NAME/0"
                raise StoreUnavailable(text)
            if link.mode not in ("cluster", ""):
                return link
            try:
                moved = await self._probe(link)
            except BaseException:
                await _shut(link)
                raise
            if moved is None:
                return link
            await _shut(link)
            address = replace(address, host=moved.host or address.host, port=moved.port)
        text = f"the Cluster sends us from node to node, last to {address}; wait until it settles"
        raise StoreUnavailable(text)

    async def _probe(self, link: Link) -> Moved | None:
        """Where else to go, by an attempt to read, as CLUSTER SLOTS needs a right of its own."""
        prefix = self._settings.prefix
        moved: Moved | None = None
        try:
            await link.call("SCARD", f"{prefix}routes")
        except Moved as error:
            moved = error
        except (StoreUnavailable, StoreDenied):
            raise
        except StoreError:
            pass  # the wrong type, say: this node does serve the key
        if (moved or link.mode == "cluster") and not has_hash_tag(prefix):
            raise StoreUnavailable(
                "the store is a Redis Cluster, where all our keys must share one slot; "
                "set redis.prefix to {gray}:"
            )
        return moved

    async def _connect(self, address: Address) -> Link:
        settings = self._settings
        return await Link.connect(
            address,
            username=settings.username,
            password=settings.password,
            timeout_seconds=settings.timeout_seconds,
            tls=self._context,
            on_push=self._on_push,
        )


async def _shut(link: Link) -> None:
    link.close()
    await link.wait_closed()
