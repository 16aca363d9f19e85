"""`graygate serve`: run the gateway in the foreground until it is told to end."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from gateway.cli.settings_flags import SettingsSource, settings_flags
from gateway.config.secret import secrets_in
from gateway.config.settings import Settings
from gateway.process import log
from gateway.process.runfile import RUN_FILE, Running, remove_run_file, write_run_file
from gateway.process.signals import terminated_as_interrupted
from gateway.process.supervisor import Addresses, supervise

_log = logging.getLogger(__name__)


@click.command()
@settings_flags
def serve(source: SettingsSource) -> int:
    """Run the gateway until it is told to end."""
    with terminated_as_interrupted():
        settings = source.load().settings
        log.configure(settings.log, "supervisor", secrets=secrets_in(settings))
        try:
            return supervise(
                settings,
                reread=lambda: source.load().settings,
                on_ready=lambda addresses: announce(settings, addresses),
            )
        finally:
            remove_run_file(RUN_FILE, os.getpid())


def announce(settings: Settings, addresses: Addresses) -> None:
    """Tells people and programs that the gateway is up, and where."""
    _log.info("Ready: data port %s, admin port %s.", addresses.data_url, addresses.admin_url)
    running = Running(
        pid=os.getpid(),
        data_url=addresses.data_url,
        admin_url=addresses.admin_url,
        store_url=settings.redis.url,
        # Not where links lead: those of Kubernetes and certbot lead elsewhere after a renewal.
        admin_cert=str(Path(settings.admin.tls_cert).absolute()) if settings.admin.tls_cert else "",
    )
    try:
        write_run_file(RUN_FILE, running)
    except OSError as error:  # a read-only root, say: other commands must name the gateway then
        _log.info("Not written: %s (%s).", RUN_FILE, error.strerror)
