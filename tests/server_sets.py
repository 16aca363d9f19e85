"""Several real stores that act as one: a master with its Sentinels, and a Cluster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self, Unpack

import redis

from tests.servers import HOST, Options, Server, free_port, wait_until

SLOTS = 16384


class Sentinel(Server):
    """One Sentinel; it keeps its configuration in a file that it writes itself."""

    def __init__(self, binary: str, lines: Sequence[str], **options: Unpack[Options]) -> None:
        super().__init__(binary, **options)
        self._lines = lines

    def flush(self) -> None:
        raise AssertionError("a Sentinel holds no data")

    def _command(self) -> list[str]:
        file = self.folder / "sentinel.conf"
        if not file.exists():
            lines = [f"bind {HOST}", f"port {self.port}", f"dir {self.folder}", *self._lines]
            if self.password:
                lines.append(f"requirepass {self.password}")
            file.write_text("\n".join(lines) + "\n")
        return [self.binary, str(file), "--sentinel"]


class SentinelSet:
    """One master, one replica and three Sentinels that watch them under the name `name`."""

    def __init__(
        self, binary: str, *, name: str = "gray", password: str = "", sentinel_password: str = ""
    ) -> None:
        self.name = name
        self._binary = binary
        self._password = password
        self._sentinel_password = sentinel_password
        self._life = ExitStack()
        self.servers: list[Server] = []
        self.sentinels: list[Sentinel] = []

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.name}/0"

    @property
    def master(self) -> Server:
        """The running server that takes writes, by its own word."""
        for server in self.servers:
            if server.is_running and server.execute("ROLE")[0] == "master":
                return server
        raise AssertionError("no server says that it is the master")

    def master_of_sentinels(self) -> int:
        """The port of the master when all running Sentinels name the same one, else 0."""
        ports = set()
        for sentinel in self.sentinels:
            if sentinel.is_running:
                reply = sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
                ports.add(int(reply[1]))
        return ports.pop() if len(ports) == 1 else 0

    def __enter__(self) -> Self:
        with ExitStack() as life:
            secret = ["--masterauth", self._password] if self._password else []
            quick = ["--repl-diskless-sync-delay", "0", *secret]
            master = Server(self._binary, password=self._password, arguments=quick)
            life.enter_context(master)
            follow = [*quick, "--replicaof", f"{HOST} {master.port}"]
            replica = Server(self._binary, password=self._password, arguments=follow)
            life.enter_context(replica)
            self.servers = [master, replica]
            wait_until(lambda: len(master.execute("ROLE")[2]) == 1, "the replica follows")
            self.sentinels = [life.enter_context(self._sentinel(master)) for _ in range(3)]
            wait_until(self._is_complete, "the Sentinels know the replica and one another")
            self._life = life.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._life.close()

    def _sentinel(self, master: Server) -> Sentinel:
        name = self.name
        lines = [
            f"sentinel monitor {name} {HOST} {master.port} 2",
            f"sentinel down-after-milliseconds {name} 1000",
            f"sentinel failover-timeout {name} 5000",
        ]
        if self._password:
            lines.append(f"sentinel auth-pass {name} {self._password}")
        if self._sentinel_password:
            lines.append(f"sentinel sentinel-pass {self._sentinel_password}")
        return Sentinel(self._binary, lines, password=self._sentinel_password)

    def _is_complete(self) -> bool:
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                state: Any = client.sentinel_master(self.name)
                if state["num-slaves"] != 1 or state["num-other-sentinels"] != 2:
                    return False
        return True


class ClusterSet:
    """Three masters that share the slots of a Cluster."""

    def __init__(self, binary: str, *, password: str = "") -> None:
        self._binary = binary
        self._password = password
        self._life = ExitStack()
        self.nodes: list[Server] = []

    def owner(self, key: str) -> Server:
        """The node that serves the slot of `key`."""
        for node in self.nodes:
            try:
                node.execute("EXISTS", key)
            except redis.ResponseError:
                continue
            return node
        raise AssertionError(f"no node serves {key}")

    def move_empty_slot(self, slot: int, target: Server) -> None:
        """Hand a slot that holds no key to another node; all nodes know of it on return."""
        identity = target.execute("CLUSTER", "MYID")
        # Else a word of the old owner that is under way would take the slot back.
        target.execute("CLUSTER", "BUMPEPOCH")
        for node in [target, *self.nodes]:
            node.execute("CLUSTER", "SETSLOT", slot, "NODE", identity)

    def __enter__(self) -> Self:
        with ExitStack() as life:
            buses = [free_port() for _ in range(3)]
            self.nodes = [life.enter_context(self._node(bus)) for bus in buses]
            first = self.nodes[0]
            for index, node in enumerate(self.nodes):
                begin, end = SLOTS * index // 3, SLOTS * (index + 1) // 3 - 1
                node.execute("CLUSTER", "ADDSLOTSRANGE", begin, end)
                node.execute("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            for node in self.nodes[1:]:
                node.execute("CLUSTER", "MEET", HOST, first.port, buses[0])
            wait_until(lambda: all(map(_is_ready, self.nodes)), "the Cluster is complete")
            self._life = life.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._life.close()

    def _node(self, bus: int) -> Server:
        words = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
        words += ["--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf"]
        return Server(self._binary, password=self._password, arguments=words)


def _is_ready(node: Server) -> bool:
    info = node.execute("CLUSTER", "INFO")
    text = info if isinstance(info, str) else "\n".join(f"{k}:{v}" for k, v in info.items())
    return "cluster_state:ok" in text and "cluster_known_nodes:3" in text
