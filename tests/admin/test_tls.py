"""The admin port behind TLS."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

from tests.admin.running import Running, plant, redis_settings, revision, running
from tests.servers import HOST, Server
from tests.tls import Authority


async def shown(side: Running, authority: Authority) -> str:
    """The name in the certificate of a fresh connection that was answered."""
    context = ssl.create_default_context(cafile=authority.ca)
    reader, writer = await asyncio.open_connection(HOST, side.port, ssl=context)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    certificate = writer.get_extra_info("peercert")
    writer.close()
    names = dict(name for [name] in certificate["subject"])
    return str(names["commonName"])


async def test_with_a_certificate_the_port_speaks_tls_only_and_follows_its_files(
    store: Server, authority: Authority, tmp_path: Path
) -> None:
    plant(store)
    cert, key = tmp_path / "admin.pem", tmp_path / "admin.key"
    for source, target in zip(authority.issue("first"), (cert, key), strict=True):
        shutil.copy(source, target)
    async with running(redis_settings(store), tls_cert=str(cert), tls_key=str(key)) as side:
        await revision(side)
        assert await shown(side, authority) == "first"
        assert await side.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        for source, target in zip(authority.issue("second"), (cert, key), strict=True):
            shutil.copy(source, target)
        names = ["first"]
        while names[-1] == "first":
            names.append(await shown(side, authority))
        assert names[-1] == "second"
