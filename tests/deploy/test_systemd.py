"""The units for systemd."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.entry import graygate
from gateway.config.environment import read_environment

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICE, SOCKET = UNITS / "graygate.service", UNITS / "graygate.socket"
PROGRAM = "/opt/graygate/bin/graygate"

Unit = dict[str, dict[str, list[str]]]


def parsed(path: Path) -> Unit:
    unit: Unit = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = found[1]
        else:
            key, sign, value = line.partition("=")
            assert section and sign, line
            unit[section][key].append(value)
    return unit


def test_the_service_notifies_is_watched_and_can_be_reloaded() -> None:
    service = parsed(SERVICE)["Service"]
    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["main"]
    assert int(service["WatchdogSec"][0]) >= 60  # longer than a worker that hangs is given
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["Restart"] == ["always"]
    assert service["KillMode"] == ["mixed"]  # the supervisor ends its children in order


# C19, and what else `systemd-analyze security` counts.
HARDENING = {
    "DynamicUser": "yes",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectProc": "invisible",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "CapabilityBoundingSet": "",
    "LimitCORE": "0",
    "UMask": "0077",
}


@pytest.mark.parametrize("key", HARDENING)
def test_the_service_has_no_more_rights_than_it_needs(key: str) -> None:
    assert parsed(SERVICE)["Service"][key] == [HARDENING[key]]


def test_it_may_write_where_its_settings_make_it_write() -> None:
    service = parsed(SERVICE)["Service"]
    variables = dict(pair.split("=", 1) for pair in service["Environment"])
    assert read_environment(variables).problems == []
    state = variables["GRAYGATE_PROCESS__STATE_DIR"]
    assert state == f"/var/lib/{service['StateDirectory'][0]}" == service["WorkingDirectory"][0]
    assert service["RuntimeDirectory"] == ["graygate"]  # for the channel


def test_the_command_line_is_one_that_the_program_takes() -> None:
    program, *arguments = shlex.split(parsed(SERVICE)["Service"]["ExecStart"][0])
    assert program == PROGRAM
    done = CliRunner().invoke(graygate, [*arguments, "--help"])
    assert done.exit_code == 0


def test_the_socket_is_named_as_the_gateway_wants_it() -> None:
    socket = parsed(SOCKET)["Socket"]
    assert socket["FileDescriptorName"] == ["data"]
    assert socket["Service"] == [SERVICE.name]
    assert len(socket["ListenStream"]) == 1


@pytest.mark.debian
def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    for unit in (SERVICE, SOCKET):
        text = unit.read_text().replace(PROGRAM, sys.executable)  # it must be there
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / unit.name) for unit in (SERVICE, SOCKET)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    ours = [line for line in done.stderr.splitlines() if "graygate" in line]
    assert (done.returncode, ours) == (0, [])
