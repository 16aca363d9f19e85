from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.cli.client import Gateway, find_gateway
from gateway.errors import (
    ConflictError,
    GatewayUnreachable,
    GraygateError,
    NotFoundError,
    RefusedError,
    StoreDenied,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
    UsageError,
)
from gateway.process.runfile import RUN_FILE, Running, write_run_file
from tests.admin.running import redis_settings
from tests.cli.conftest import Run
from tests.cli.live import Live, live
from tests.servers import Server, free_port

PROBLEM = "application/problem+json"


class Fake:
    """Answers every call with the same bytes and remembers what was asked."""

    def __init__(self, status: int, kind: str, body: bytes) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.seen.append((self.command, self.path, headers, content))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Fake:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def gateway(self, path: str = "", **environ: str) -> Gateway:
        return find_gateway(self.url + path, environ)


def good() -> Fake:
    return Fake(200, "application/json", b"{}")


def refusal(status: int, code: str, detail: str = "So it is.") -> Fake:
    return Fake(status, PROBLEM, json.dumps({"code": code, "detail": detail}).encode())


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """A server that says these bytes to the first caller and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


class TestWhichGateway:
    def test_the_flag_goes_before_the_variable_and_that_before_the_usual(self) -> None:
        environ = {"GRAYGATE_GATEWAY": "http://b:2"}
        assert find_gateway("http://a:1/", environ).url == "http://a:1"
        assert find_gateway(None, environ).url == "http://b:2"
        assert find_gateway(None, {"GRAYGATE_GATEWAY": ""}).url == "http://127.0.0.1:8081"

    def test_one_that_runs_in_this_folder_is_taken_before_the_usual(self) -> None:
        urls = {"data_url": "http://127.0.0.1:1", "admin_url": "http://127.0.0.1:2"}
        write_run_file(RUN_FILE, Running(pid=os.getpid(), **urls))
        assert find_gateway(None, {}).url == "http://127.0.0.1:2"
        assert find_gateway(None, {"GRAYGATE_GATEWAY": "http://b:2"}).url == "http://b:2"

    def test_one_that_has_ended_is_not_taken(self) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        urls = {"data_url": "http://127.0.0.1:1", "admin_url": "http://127.0.0.1:2"}
        write_run_file(RUN_FILE, Running(pid=ended.pid, **urls))
        assert find_gateway(None, {}).url == "http://127.0.0.1:8081"

    @pytest.mark.parametrize(
        "url", ["127.0.0.1:8081", "ftp://a", "http://", "http://a:x", "http://[", "http://a b", ""]
    )
    def test_what_is_no_url_is_wrong_usage(self, url: str) -> None:
        told = "takes the URL of an admin port, as in http://127.0.0.1:8081."
        with pytest.raises(UsageError, match=f"^--gateway {told}"):
            find_gateway(url, {})
        if url:
            with pytest.raises(UsageError, match=f"^GRAYGATE_GATEWAY {told}"):
                find_gateway(None, {"GRAYGATE_GATEWAY": url})

    @pytest.mark.parametrize("url", ["http://me:hunter2@a", "http://a/?token=hunter2"])
    def test_a_secret_in_the_url_is_refused_and_not_repeated(self, url: str) -> None:
        with pytest.raises(UsageError) as caught:
            find_gateway(url, {})
        assert "the token belongs into GRAYGATE_ADMIN__TOKEN" in str(caught.value)
        assert "hunter2" not in str(caught.value)


class TestCalls:
    def test_it_says_who_calls_and_through_what(self) -> None:
        with good() as fake:
            fake.gateway(USER="alice").get("state")
        ((method, path, headers, _),) = fake.seen
        assert (method, path) == ("GET", "/api/v1/state")
        assert headers["x-graygate-client"] == "cli"
        assert headers["x-graygate-by"] == "alice"
        assert "authorization" not in headers

    def test_without_a_user_in_the_environment_the_system_is_asked(self) -> None:
        with good() as fake:
            fake.gateway(LOGNAME="bob").get("state")
            fake.gateway().get("state")
        assert fake.seen[0][2]["x-graygate-by"] == "bob"
        assert fake.seen[1][2]["x-graygate-by"]

    def test_names_are_quoted_and_the_path_of_the_url_is_kept(self) -> None:
        with good() as fake:
            fake.gateway("/gray/").get("routes", "a/b?\udcff", "explain", query={"unit": "ä &"})
        assert fake.seen[0][1] == "/gray/api/v1/routes/a%2Fb%3F%FF/explain?unit=%C3%A4+%26"

    def test_a_write_carries_json_and_the_revision_it_expects(self) -> None:
        with good() as fake:
            fake.gateway().call("PUT", "x", content={"why": "é"}, revision=7)
        _, _, headers, content = fake.seen[0]
        assert headers["content-type"] == "application/json"
        assert headers["if-match"] == '"7"'
        assert json.loads(content) == {"why": "é"}

    def test_an_argument_that_is_no_text_is_wrong_usage(self) -> None:
        with good() as fake, pytest.raises(UsageError, match="not valid UTF-8"):
            fake.gateway().call("PUT", "x", content={"why": "\udcff"})

    def test_an_answer_of_another_form_is_told_apart_from_nonsense(self) -> None:
        with good() as fake:
            reply = fake.gateway().get("state")
        with pytest.raises(GraygateError, match=r"use the graygate of the gateway's own version\."):
            reply.read(list[int])


class TestToken:
    def test_it_is_sent_as_a_bearer_token(self) -> None:
        with good() as fake:
            fake.gateway(GRAYGATE_ADMIN__TOKEN="grün").get("state")
        sent = fake.seen[0][2]["authorization"]
        assert sent.encode("latin-1").decode() == "Bearer grün"

    def test_it_may_stand_in_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("secret\n")
        with good() as fake:
            fake.gateway(GRAYGATE_ADMIN__TOKEN_FILE=str(file)).get("state")
        assert fake.seen[0][2]["authorization"] == "Bearer secret"

    def test_a_file_that_cannot_be_read_is_wrong_usage(self) -> None:
        told = "GRAYGATE_ADMIN__TOKEN_FILE names a file that cannot be read: No such file"
        with pytest.raises(UsageError, match=told):
            find_gateway(None, {"GRAYGATE_ADMIN__TOKEN_FILE": "nowhere"})

    def test_it_is_not_given_twice(self) -> None:
        both = {"GRAYGATE_ADMIN__TOKEN": "a", "GRAYGATE_ADMIN__TOKEN_FILE": "b"}
        with pytest.raises(UsageError, match="are both set; keep one"):
            find_gateway(None, both)

    def test_one_that_no_header_can_carry_is_not_shown(self) -> None:
        with pytest.raises(UsageError) as caught:
            find_gateway(None, {"GRAYGATE_ADMIN__TOKEN": "hunter2\nX-Evil: 1"})
        assert "no header can carry" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    def test_a_gateway_that_wants_one_gets_it(self, store: Server, run: Run) -> None:
        with live(redis_settings(store), token="sesame") as up:
            without = run("get", "--gateway", up.url)
            assert without.exit_code == 1
            assert without.stderr == (
                f"graygate: The gateway at {up.url} wants a token: set "
                "GRAYGATE_ADMIN__TOKEN or GRAYGATE_ADMIN__TOKEN_FILE.\n"
            )
            wrong = run("get", "--gateway", up.url, env={"GRAYGATE_ADMIN__TOKEN": "hunter2"})
            assert wrong.exit_code == 1
            assert "refuses the token of GRAYGATE_ADMIN__TOKEN" in wrong.stderr
            assert "hunter2" not in wrong.stderr
            good = run("get", "--gateway", up.url, env={"GRAYGATE_ADMIN__TOKEN": "sesame"})
            assert good.exit_code == 0


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (400, "bad_request", UsageError),
            (404, "not_found", NotFoundError),
            (409, "revision_conflict", ConflictError),
            (422, "refused", RefusedError),
            (503, "store_unavailable", StoreUnavailable),
            (503, "store_moved", StoreUnavailable),
            (503, "store_denied", StoreDenied),
            (503, "store_read_only", StoreReadOnly),
            (503, "store_error", StoreError),
            (403, "foreign_origin", GraygateError),
            (500, "internal_error", GraygateError),
        ],
    )
    def test_a_problem_becomes_the_error_it_was(
        self, status: int, code: str, kind: type[GraygateError]
    ) -> None:
        with refusal(status, code) as fake, pytest.raises(GraygateError) as caught:
            fake.gateway().get("state")
        assert type(caught.value) is kind
        assert str(caught.value) == "So it is."

    @pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"detail": 1}'])
    def test_a_problem_without_words_is_told_by_its_number(self, body: bytes) -> None:
        with Fake(500, PROBLEM, body) as fake, pytest.raises(GraygateError) as caught:
            fake.gateway().get("state")
        assert str(caught.value) == f"The gateway at {fake.url} answered 500."


class TestNoGateway:
    def test_where_nobody_listens_it_says_how_to_start_one(self, run: Run) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        done = run("get", "--gateway", url)
        assert (done.exit_code, done.stdout) == (3, "")
        assert done.stderr == (
            f"graygate: No gateway answers at {url} (Connection refused); start one with: "
            "graygate up, or name another with --gateway URL or GRAYGATE_GATEWAY.\n"
        )

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(200, "text/html"), (404, "text/plain"), (302, "text/html"), (502, "application/json")],
    )
    def test_what_is_no_gateway_is_told(self, status: int, kind: str) -> None:
        with Fake(status, kind, b"{}") as fake, pytest.raises(GatewayUnreachable) as caught:
            fake.gateway().get("state")
        assert f"not the admin port of a gateway (it sent {status} {kind})" in str(caught.value)

    @pytest.mark.parametrize(
        "answer",
        [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"],
    )
    def test_half_an_answer_leaves_a_write_in_doubt(self, answer: bytes) -> None:
        doubt = "it may have done it all the same, so look before you repeat it"
        with saying(answer) as url, pytest.raises(GatewayUnreachable, match=doubt):
            find_gateway(url, {}).call("PUT", "x", content={})
        with saying(answer) as url, pytest.raises(GatewayUnreachable) as caught:
            find_gateway(url, {}).get("x")
        assert "gave no whole answer" in str(caught.value)
        assert doubt not in str(caught.value)

    def test_one_that_does_not_speak_tls_is_told(self, up: Live, run: Run) -> None:
        done = run("get", "--gateway", up.url.replace("http:", "https:"))
        assert done.exit_code == 3
        assert done.stderr.startswith("graygate: What answers at https://127.0.0.1:")
        assert done.stderr.count("\n") == 1


def test_the_store_being_away_is_exit_code_3(fresh_valkey: Server) -> None:
    with live(redis_settings(fresh_valkey)) as up:
        fresh_valkey.kill()
        done = up.run("repopulate", "--yes")
        assert (done.exit_code, done.stdout) == (3, "")
        assert "no connection to the store at" in done.stderr or "closed" in done.stderr


HEAVY = {"aiohttp", "hiredis", "redis", "uvloop", "prometheus_client", "asyncio", "re2", "xxhash"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "--json"),
        ("explain", "chat", "alice", "--json"),
        ("weights", "set", "chat", "v2=1", "--json"),
        ("whitelist", "list", "chat", "v2", "--json"),
        ("history", "chat", "--json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_imports_nothing_that_only_a_gateway_needs(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from gateway.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    with good() as fake:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "GRAYGATE_GATEWAY": fake.url,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (0, "{}\n"), done.stderr
    assert HEAVY.isdisjoint(done.stderr.split())
