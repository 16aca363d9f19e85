"""The demo's backend over real sockets, in this process and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from gateway.demo.backend import DemoBackend
from gateway.demo.child import python_module
from tests.demo.processes import Parent, is_alive, wait_gone
from tests.servers import free_port, wait_until

CHAT = "/v1/chat/completions"
Client = TestClient[Request, Application]


def hello(**more: object) -> dict[str, object]:
    return {"model": "chat", "messages": [{"role": "user", "content": "good morning"}], **more}


@asynccontextmanager
async def serving(backend: DemoBackend) -> AsyncIterator[Client]:
    async with TestClient(TestServer(backend.app())) as client:
        yield client


@pytest.fixture
def backend() -> DemoBackend:
    return DemoBackend("v2", latency_ms=0, chunk_ms=0)


@pytest.fixture
async def client(backend: DemoBackend) -> AsyncIterator[Client]:
    async with serving(backend) as client:
        yield client


class TestAnswers:
    async def test_a_chat_is_answered_in_the_name_of_the_version(self, client: Client) -> None:
        async with client.post(CHAT, json=hello()) as response:
            assert response.status == 200
            assert response.headers["x-demo-version"] == "v2"
            told = await response.json()
        assert told["object"] == "chat.completion"
        [choice] = told["choices"]
        assert choice["message"] == {
            "role": "assistant",
            "content": "Hello from v2! You said: good morning",
        }

    async def test_completions_embeddings_and_models_have_their_shapes(
        self, client: Client
    ) -> None:
        async with client.post("/v1/completions", json={"prompt": "x"}) as response:
            told = await response.json()
            assert told["choices"][0]["text"] == "Hello from v2! You said: x"
        async with client.post("/v1/embeddings", json={"input": ["a", "b"]}) as response:
            assert [item["index"] for item in (await response.json())["data"]] == [0, 1]
        async with client.get("/v1/models") as response:
            assert [item["id"] for item in (await response.json())["data"]] == ["chat"]

    async def test_any_other_path_tells_what_came(self, client: Client) -> None:
        async with client.put("/any/where?x=%20", data=b"12345", headers={"X-A": "b"}) as response:
            told = await response.json()
        assert (told["version"], told["method"], told["path"]) == ("v2", "PUT", "/any/where?x=%20")
        assert ["X-A", "b"] in told["headers"]
        assert told["body_bytes"] == 5

    async def test_a_header_that_is_no_text_is_told_with_question_marks(
        self, client: Client
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nX-A: \xff\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert b'["X-A","?"]' in answer

    async def test_a_body_that_is_no_object_is_refused(self, client: Client) -> None:
        for body in (b"{", b"[]", b"", b"\xff"):
            async with client.post(CHAT, data=body) as response:
                assert response.status == 400
                assert (await response.json())["error"]["type"] == "invalid_request_error"

    async def test_health_is_told_at_once_whatever_the_behaviour(self) -> None:
        async with (
            serving(DemoBackend("v1", latency_ms=60_000, error_rate=1)) as client,
            client.get("/healthz") as response,
        ):
            assert await response.json() == {"status": "ok", "version": "v1"}


class TestStream:
    async def test_each_event_is_a_chunk_of_its_own_and_done_is_last(self, client: Client) -> None:
        async with client.post(CHAT, json=hello(stream=True)) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            assert response.headers["x-demo-version"] == "v2"
            chunks = [part async for part, ends in response.content.iter_chunks() if ends and part]
        assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)
        assert chunks[-1] == b"data: [DONE]\n\n"
        events = [json.loads(chunk[6:]) for chunk in chunks[:-1]]
        deltas = [event["choices"][0]["delta"] for event in events]
        assert deltas[0]["role"] == "assistant"
        said = "".join(delta.get("content", "") for delta in deltas)
        assert said == "Hello from v2! You said: good morning"
        assert events[-1]["choices"][0]["finish_reason"] == "stop"

    async def test_a_chunk_leaves_before_the_next_one_is_due(self) -> None:
        # A minute between chunks: the first can only be here if it did not wait for the second.
        async with (
            serving(DemoBackend("v2", latency_ms=0, chunk_ms=60_000)) as client,
            client.post(CHAT, json=hello(stream=True)) as response,
        ):
            chunk, _ = await response.content.readchunk()
            assert b'"role":"assistant"' in chunk

    async def test_a_client_that_leaves_does_no_harm(
        self, client: Client, backend: DemoBackend
    ) -> None:
        backend.behaviour = backend.behaviour.changed({"chunk_ms": 5})
        for _ in range(3):
            async with client.post(CHAT, json=hello(stream=True)) as response:
                await response.content.readchunk()
                response.close()
        async with client.get("/healthz") as response:
            assert response.status == 200


class TestBehaviour:
    async def test_it_changes_while_the_backend_runs(self, client: Client) -> None:
        async with client.put("/demo/behaviour", json={"error_rate": 1}) as response:
            assert await response.json() == {
                "latency_ms": 0,
                "error_rate": 1,
                "cut_rate": 0,
                "chunk_ms": 0,
            }
        async with client.post(CHAT, json=hello()) as response:
            assert response.status == 500
            assert response.headers["x-demo-version"] == "v2"
            assert (await response.json())["error"]["code"] == "demo_500"
        async with client.put("/demo/behaviour", json={"error_rate": 0}):
            pass
        async with client.post(CHAT, json=hello()) as response:
            assert response.status == 200

    @pytest.mark.parametrize(
        "body", ['{"error_rate": 2}', '{"speed": 1}', "7", "{", '{"cut_rate": "x"}']
    )
    async def test_nonsense_changes_nothing(self, client: Client, body: str) -> None:
        async with client.get("/demo/behaviour") as response:
            before = await response.json()
        async with client.put("/demo/behaviour", data=body) as response:
            assert response.status == 400
            message = (await response.json())["error"]["message"]
        assert message.startswith("behaviour not changed: ")
        async with client.get("/demo/behaviour") as response:
            assert await response.json() == before

    @pytest.mark.parametrize("header", ["Via", "X-Forwarded-For"])
    async def test_it_is_not_changed_through_a_proxy(self, client: Client, header: str) -> None:
        sent = client.put("/demo/behaviour", json={"error_rate": 1}, headers={header: "x"})
        async with sent as response:
            assert response.status == 403
        async with client.post(CHAT, json=hello()) as response:
            assert response.status == 200

    async def test_the_same_seed_fails_the_same_requests(self) -> None:
        async def statuses(seed: int) -> list[int]:
            async with serving(DemoBackend("v2", 0, error_rate=0.3, seed=seed)) as client:
                found = []
                for _ in range(60):
                    async with client.post(CHAT, json=hello()) as response:
                        found.append(response.status)
                return found

        first = await statuses(7)
        assert first == await statuses(7)
        assert first != await statuses(8)
        assert 8 <= first.count(500) <= 28

    async def test_a_cut_stream_breaks_off_before_done(
        self, client: Client, backend: DemoBackend
    ) -> None:
        backend.behaviour = backend.behaviour.changed({"cut_rate": 1})
        got = b""
        async with client.post(CHAT, json=hello(stream=True)) as response:
            with pytest.raises(aiohttp.ClientError):
                async for part in response.content.iter_any():
                    got += part
        assert b"Hello" in got
        assert b"[DONE]" not in got

    async def test_a_cut_plain_answer_lacks_its_end(
        self, client: Client, backend: DemoBackend
    ) -> None:
        backend.behaviour = backend.behaviour.changed({"cut_rate": 1})
        async with client.post(CHAT, json=hello()) as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientError):
                await response.read()


class TestRequestHeaders:
    @pytest.mark.parametrize("status", [200, 204, 304, 404, 429, 503])
    async def test_a_status_can_be_asked_for(self, client: Client, status: int) -> None:
        async with client.get("/x", headers={"x-demo-status": str(status)}) as response:
            assert response.status == status
            assert response.headers["x-demo-version"] == "v2"

    async def test_a_latency_can_be_asked_for(self) -> None:
        async with serving(DemoBackend("v2", latency_ms=60_000)) as client:
            async with client.post(
                CHAT, json=hello(), headers={"x-demo-latency-ms": "0"}
            ) as response:
                assert response.status == 200
            slow = client.post(CHAT, json=hello(), headers={"x-demo-latency-ms": "60000"})
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), slow:
                    pass

    @pytest.mark.parametrize(
        ("header", "value"),
        [("x-demo-status", v) for v in ("100", "600", "x", "9" * 5000)]
        + [("x-demo-latency-ms", v) for v in ("-1", "nan", "1e9", "x")],
    )
    async def test_nonsense_is_refused(self, client: Client, header: str, value: str) -> None:
        async with client.get("/x", headers={header: value}) as response:
            assert response.status == 400
            assert "x-demo-" in (await response.json())["error"]["message"]


class TestProcess:
    async def test_it_serves_an_inherited_socket_prints_nothing_and_ends_when_told(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            process = start("--name", "v9", "--fd", str(listener.fileno()), fd=listener.fileno())
        try:
            assert (await health(port))["version"] == "v9"
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, b"", b"")

    async def test_it_listens_on_the_address_it_is_given(self) -> None:
        port = free_port()
        process = start("--name", "v1", "--host", "127.0.0.2", "--port", str(port))
        try:
            async with asyncio.timeout(20):
                while not await is_open("127.0.0.2", port):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert not await is_open("127.0.0.1", port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)

    async def test_it_ends_with_its_parent(self) -> None:
        with kept_alive_by_a_parent(free_port()) as (dying, port):
            pid = dying.said["pid"]
            assert (await health(port))["version"] == "v1"
            dying.kill()
            wait_gone(pid)

    def test_it_does_not_start_for_a_parent_that_is_gone(self) -> None:
        process = start("--name", "v1", "--port", str(free_port()), "--parent", "1")
        assert process.communicate(timeout=20) == (b"", b"")
        assert process.returncode == 0

    def test_a_behaviour_that_cannot_be_is_told(self) -> None:
        process = start("--name", "v1", "--port", "1", "--error-rate", "7")
        _, err = process.communicate(timeout=20)
        assert process.returncode == 2
        assert b"Expected `float` <= 1.0 - at `$.error_rate`" in err


def start(*arguments: str, fd: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_module("gateway.demo.backend", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=() if fd is None else (fd,),
    )


async def is_open(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def health(port: int) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}/healthz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        told: dict[str, str] = await response.json()
        return told


@contextmanager
def kept_alive_by_a_parent(port: int) -> Iterator[tuple[Parent, int]]:
    program = f"""
import os, subprocess, socket
listener = socket.create_server(("127.0.0.1", {port}))
fd = str(listener.fileno())
argv = [sys.executable, "-P", "-m", "gateway.demo.backend", "--name", "v1", "--fd", fd]
child = subprocess.Popen([*argv, "--parent", str(os.getpid())], pass_fds=[int(fd)])
print(json.dumps({{"pid": child.pid}}))
"""
    with Parent(program) as running:
        wait_until(lambda: is_alive(running.said["pid"]), "the backend runs")
        yield running, port
