"""`graygate serve`: run the gateway in the foreground until it is told to end."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from gateway.cli.settings_flags import SettingsSource, settings_flags
from gateway.config.settings import Settings
from gateway.process import log
from gateway.process.runfile import Running, remove_run_file, write_run_file
from gateway.process.supervisor import Addresses, supervise

_log = logging.getLogger(__name__)

RUN_FILE = "run.json"  # in the state folder


@click.command()
@settings_flags
def serve(source: SettingsSource) -> int:
    """Run the gateway until it is told to end."""
    settings = source.load().settings
    log.configure(settings.log, "supervisor")
    try:
        return supervise(
            settings,
            reread=lambda: source.load().settings,
            on_ready=lambda addresses: announce(settings, addresses),
        )
    finally:
        path = run_file(settings)
        if path is not None:
            remove_run_file(path, os.getpid())


def run_file(settings: Settings) -> Path | None:
    """Where a running gateway says how to reach it; None when it keeps nothing on disk."""
    folder = settings.process.state_dir
    return Path(folder) / RUN_FILE if folder else None


def announce(settings: Settings, addresses: Addresses) -> None:
    """Tells people and programs that the gateway is up, and where."""
    _log.info("Ready: data port %s, admin port %s.", addresses.data_url, addresses.admin_url)
    path = run_file(settings)
    if path is None:
        return
    running = Running(
        pid=os.getpid(),
        data_url=addresses.data_url,
        admin_url=addresses.admin_url,
        store_url=settings.redis.url,
    )
    try:
        write_run_file(path, running)
    except OSError as error:
        _log.warning("Other commands cannot find this gateway: %s: %s.", path, error.strerror)
