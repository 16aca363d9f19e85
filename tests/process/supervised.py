"""A supervisor as a process of its own: settings from a JSON file, its children as told.

python -m tests.process.supervised SETTINGS_FILE CONTROL_MODULE WORKER_MODULE
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.errors import Problem, SettingsError
from gateway.process import log
from gateway.process.launch import Programs
from gateway.process.supervisor import Addresses, supervise


def read(path: Path) -> Settings:
    def secret(_kind: type, value: str) -> Secret:
        return Secret(value)

    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings, dec_hook=secret)
    except msgspec.DecodeError as error:
        raise SettingsError((Problem(path.name, str(error)),)) from error


def say(addresses: Addresses) -> None:
    print(addresses.data_url, addresses.admin_url, flush=True)


def main() -> None:
    path = Path(sys.argv[1])
    settings = read(path)
    log.configure(settings.log, "supervisor")
    control, worker = ((sys.executable, "-m", module) for module in sys.argv[2:4])
    try:
        code = supervise(
            settings,
            reread=lambda: read(path),
            on_ready=say,
            programs=Programs(control=control, worker=worker),
        )
    except SettingsError as error:
        print(error, file=sys.stderr)
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
