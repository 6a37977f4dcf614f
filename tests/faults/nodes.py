"""Three real nats-servers as one cluster."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import nats
from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats
from shared.eventlog.connection import inbox_prefix
from tests.processes import free_port


class Node(EmbeddedNats):
    """One server of the cluster. ``routes`` are the cluster ports of all."""

    def __init__(self, folder: Path, name: str, cluster_port: int, routes: list[int]) -> None:
        super().__init__(folder, port=free_port())
        self.name = name
        self._cluster_port = cluster_port
        self._routes = routes

    @property
    def command(self) -> list[str]:
        return [
            *super().command,
            *("--name", self.name),
            *("--cluster_name", "faults"),
            *("--cluster", f"nats://127.0.0.1:{self._cluster_port}"),
            *("--routes", ",".join(f"nats://127.0.0.1:{port}" for port in self._routes)),
        ]


class Cluster(EmbeddedNats):
    """Looks like one server to those who connect; each address leads to any of the nodes."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        super().__init__(folder / "keys")
        ports = [free_port() for _ in range(size)]
        self.nodes: list[Node] = []
        for number, port in enumerate(ports):
            own = folder / f"node{number}"
            own.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / "passwords.json", own)  # the same users everywhere
            self.nodes.append(Node(own, f"node{number}", port, ports))

    def url(self, user: str | None = None) -> str:
        return ",".join(node.url(user) for node in self.nodes)

    def start(self, log: object = None) -> None:
        for node in self.nodes:
            node.start()
        self.process = self.nodes[0].process

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()
        self.process = None

    async def leader(self, stream: str = "CHAT-0") -> Node:
        """The node that leads the stream now."""
        while True:
            client: Client | None = None
            try:
                client = await nats.connect(
                    self.url("admin").split(","),
                    inbox_prefix=inbox_prefix("admin").encode(),
                    connect_timeout=2,
                    allow_reconnect=False,
                    error_cb=_quiet,
                )
                answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=2)
                name = json.loads(answer.data).get("cluster", {}).get("leader")
                for node in self.nodes:
                    if node.name == name and node.process is not None:
                        return node
            except Exception:
                pass  # an election is under way
            finally:
                if client is not None:
                    await client.close()
            await asyncio.sleep(0.2)

    async def settled(self) -> None:
        """Wait until JetStream has a leader and can place streams with as many replicas as nodes."""
        async with asyncio.timeout(60):
            while True:
                client = await nats.connect(
                    self.url("admin").split(","),
                    inbox_prefix=inbox_prefix("admin").encode(),
                    error_cb=_quiet,
                )
                try:
                    name = "PROBE"
                    body = {"name": name, "subjects": ["probe.never"], "num_replicas": len(self.nodes)}
                    answer = await client.request(
                        f"$JS.API.STREAM.CREATE.{name}", json.dumps(body).encode(), timeout=5
                    )
                    if "config" in json.loads(answer.data):
                        await client.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=5)
                        return
                except Exception:
                    pass  # not yet
                finally:
                    await client.close()
                await asyncio.sleep(0.5)


async def _quiet(error: Exception) -> None:
    """Errors of the connection are what a fault provokes."""
