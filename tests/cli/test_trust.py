from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.process.runfile import RUN_FILE, Running, write_run_file
from tests.admin.running import plant, redis_settings
from tests.cli.live import Live, live
from tests.servers import Server
from tests.tls import Authority


@pytest.fixture
def secure(store: Server, authority: Authority) -> Iterator[Live]:
    """A gateway whose admin port speaks TLS."""
    plant(store)
    cert, key = authority.issue("admin")
    with live(redis_settings(store), tls_cert=cert, tls_key=key) as secure:
        secure.wait_revision(1)
        yield secure


def test_a_certificate_that_chains_to_the_named_authority_is_believed(
    secure: Live, authority: Authority
) -> None:
    done = secure.run("get", "chat", GRAYGATE_GATEWAY_CA=authority.ca)
    assert (done.exit_code, done.stderr) == (0, "")
    secure.side.workers.append(secure.side.worker())
    assert secure.run("ready", GRAYGATE_GATEWAY_CA=authority.ca).stdout == "ok\n"


def test_any_other_is_told_in_a_sentence_that_says_what_to_do(secure: Live, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", "Another CA").ca
    for environ in ({}, {"GRAYGATE_GATEWAY_CA": stranger}):
        for command in (("get",), ("ready",), ("events",)):
            done = secure.run(*command, **environ)
            assert done.exit_code == 3, done.output
            assert done.stderr.startswith(
                f"graygate: The certificate of the gateway at {secure.url} is not trusted ("
            )
            assert done.stderr.endswith("); name the file of its CA with GRAYGATE_GATEWAY_CA.\n")


def test_a_certificate_of_another_host_is_told_as_such(
    secure: Live, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = secure.url.replace("127.0.0.1", "127.0.0.2")
    monkeypatch.setattr("http.client.socket.create_connection", _to(secure.side.port))
    environ = {"GRAYGATE_GATEWAY": url, "GRAYGATE_GATEWAY_CA": authority.ca}
    done = secure.run("get", **environ)
    assert done.exit_code == 3
    assert done.stderr.startswith(f"graygate: The certificate of the gateway at {url} is another's")


def _to(port: int) -> object:
    import socket

    dial = socket.create_connection
    return lambda _, *more: dial(("127.0.0.1", port), *more)


def test_in_the_gateways_folder_its_own_certificate_is_believed_and_no_other(
    secure: Live, authority: Authority
) -> None:
    running = Running(
        pid=os.getpid(),
        data_url="http://127.0.0.1:1",
        admin_url=secure.url,
        admin_cert=authority.issue("admin")[0],
    )
    write_run_file(RUN_FILE, running)
    done = secure.run("get", "chat", GRAYGATE_GATEWAY="")
    assert (done.exit_code, done.stderr) == (0, "")
    for other in (authority.issue("other")[0], authority.ca, "gone.pem"):
        write_run_file(RUN_FILE, msgspec.structs.replace(running, admin_cert=other))
        done = secure.run("get", "chat", GRAYGATE_GATEWAY="")
        assert done.exit_code == 3
        assert "does not show the certificate in" in done.stderr
        # Whoever names a CA wants it to decide.
        done = secure.run("get", "chat", GRAYGATE_GATEWAY="", GRAYGATE_GATEWAY_CA=authority.ca)
        assert done.exit_code == 0


def test_in_the_gateways_own_environment_its_certificate_is_known(
    secure: Live, authority: Authority
) -> None:
    environ = {
        "GRAYGATE_GATEWAY": "",
        "GRAYGATE_ADMIN__PORT": str(secure.side.port),
        "GRAYGATE_ADMIN__TLS_CERT": authority.issue("admin")[0],
    }
    assert secure.run("ready", "--live", **environ).stdout == "ok\n"


def test_the_wrong_scheme_is_told_either_way(secure: Live, up: Live, authority: Authority) -> None:
    plain = secure.url.replace("https://", "http://")
    done = secure.run("get", GRAYGATE_GATEWAY=plain)
    assert done.exit_code == 3
    assert done.stderr.endswith(" If its admin port speaks TLS, name it as https://.\n")
    done = up.run("get", GRAYGATE_GATEWAY=up.url.replace("http://", "https://"))
    assert done.exit_code == 3
    assert "does not speak TLS as it should" in done.stderr
    assert done.stderr.endswith("; is it http://?\n")


@pytest.mark.parametrize("file", ["gone.pem", ".", "empty.pem"])
def test_a_ca_that_cannot_be_used_is_told(up: Live, file: str) -> None:
    Path("empty.pem").write_text("")
    done = up.run("get", GRAYGATE_GATEWAY="https://127.0.0.1:1", GRAYGATE_GATEWAY_CA=file)
    assert done.exit_code == 2
    assert done.stderr.startswith("graygate: GRAYGATE_GATEWAY_CA names a file ")
