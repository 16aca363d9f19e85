"""`graygate up`: a store, the gateway and, if wanted, a demo, from one command.

The one command of a newcomer and of a single machine. What it starts it stops: the gateway first,
so that running requests finish while everything behind it still answers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from gateway import __version__
from gateway.cli.serve import announce
from gateway.cli.settings_flags import SettingsSource, settings_flags
from gateway.config.secret import Secret, secrets_in
from gateway.config.settings import Settings
from gateway.demo.beside import Beside
from gateway.demo.demo import Demo
from gateway.demo.plant import plant
from gateway.demo.store import EmbeddedStore
from gateway.process import log
from gateway.process.runfile import RUN_FILE, remove_run_file
from gateway.process.signals import terminated_as_interrupted
from gateway.process.supervisor import Addresses, supervise

HOME = Path(".graygate")  # beside the project, not to be committed

_log = logging.getLogger(__name__)


@click.command()
@click.option("--demo", "has_demo", is_flag=True, help="add two model-like backends and users")
@settings_flags
def up(source: SettingsSource, has_demo: bool) -> int:
    """Run store and gateway together, to try them or on one machine.

    Starts a store of its own under .graygate/store unless redis.url names another one.
    """
    loaded = source.load()
    log.configure(loaded.settings.log, "supervisor", secrets=secrets_in(loaded.settings))
    with ExitStack() as things, terminated_as_interrupted():
        store = None
        if loaded.origins["redis.url"] == "default":
            store = EmbeddedStore(HOME / "store")
            things.callback(store.stop)
            store.start()
            if store.note:
                click.echo(store.note, err=True)
        settings = _with_store(loaded.settings, store)
        demo = None
        if has_demo:
            demo = Demo(HOME / "demo")
            things.callback(demo.stop)
            asyncio.run(plant(settings.redis, demo.start_backends()))
        things.callback(remove_run_file, RUN_FILE, os.getpid())

        def on_ready(addresses: Addresses) -> None:
            announce(settings, addresses)
            if demo is not None:
                demo.start_traffic(addresses.data_url)
            click.echo(banner(settings, addresses, store, has_demo))

        return supervise(
            settings,
            reread=lambda: _with_store(source.load().settings, store),
            on_ready=on_ready,
            beside=Beside(store, demo).look,
        )


def _with_store(settings: Settings, store: EmbeddedStore | None) -> Settings:
    if store is None:
        return settings
    # The store of our own knows no users: credentials are meant for another one.
    redis = msgspec.structs.replace(settings.redis, url=store.url, username="", password=Secret())
    return msgspec.structs.replace(settings, redis=redis)


def banner(
    settings: Settings, addresses: Addresses, store: EmbeddedStore | None, has_demo: bool
) -> str:
    """What a newcomer needs: where everything is, and three commands to try."""
    own = _own_name()
    where = f"redis-cli -p {store.port}" if store is not None else settings.redis.url
    lines = [
        f"Graygate {__version__} is up. Ctrl-C stops everything.",
        "",
        f"  data   {addresses.data_url}    requests go here",
        f"  admin  {addresses.admin_url}    API, health, metrics",
        f"  store  {where}    or: {own} redis ...",
    ]
    if has_demo:
        prefix = settings.redis.prefix
        lines += [
            "",
            "Try:",
            f"  curl -si {addresses.data_url}/v1/chat/completions -H 'x-user-id: alice' "
            """-d '{"model": "demo", "messages": [{"role": "user", "content": "Hi"}]}'""",
            f"  {own} redis HSET {prefix}route:chat:weights v2 50",
            f"  {own} redis SADD {prefix}route:chat:whitelist:v2 alice",
        ]
    return "\n".join(lines)


def _own_name() -> str:
    """How this command is called from the folder that it was started in."""
    if shutil.which("graygate"):
        return "graygate"
    program = Path(sys.argv[0])
    if program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return str(program)
