"""Real processes for tests: services of this checkout on free ports, killed and frozen at will."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from deploy.local.embedded import EmbeddedNats
from deploy.local.processes import die_with_parent
from tests.forks import ForkedProcess, ForkServer

ROOT = Path(__file__).parent.parent
#: Wraps the keys of all that tests say.
MASTER_KEY = "5e" * 64
TOUR = "services/workflow/flows/tour.json"
#: Under pytest services are forked; the laboratory and the benchmark start them as everybody does.
FORKS = ForkServer(ROOT) if "PYTEST_VERSION" in os.environ and sys.platform == "linux" else None


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """``python -m services.<name>`` (or another module) as a process of its own."""

    def __init__(
        self, name: str, server: EmbeddedNats, folder: Path, module: str = "", **settings: str
    ) -> None:
        self.name = name
        self.port = free_port()
        #: Where it answers for its health, if not there: what the setting ``INTERNAL_PORT`` says.
        self.health_port = self.port
        #: What Python runs with ``-m``, and its arguments.
        self.module: tuple[str, ...] = (module or f"services.{name}",)
        self._log = folder / f"{name}-{self.port}.log"
        self._environment = {
            # Nor the keys of whoever runs the tests: no test may ask a real assistant. And Python may keep
            # what it compiled, as anywhere else: a start that compiles everything anew takes twice as long.
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith("SWITCHBOARD_")
                and not key.endswith("_API_KEY")
                and key != "PYTHONDONTWRITEBYTECODE"
            },
            "SWITCHBOARD_NATS_URL": server.url(),
            "SWITCHBOARD_NATS_USER": name,
            "SWITCHBOARD_NATS_PASSWORD": server.password(name),
            f"SWITCHBOARD_{name.upper()}_PORT": str(self.port),
            "SWITCHBOARD_LOG_FORMAT": "json",
            **({} if name == "analytics" else {"SWITCHBOARD_MASTER_KEY": MASTER_KEY}),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | ForkedProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def set(self, **settings: str) -> None:
        """Further settings, for its next start."""
        self._environment |= settings

    def launch(self) -> None:
        """Start without waiting."""
        with self._log.open("ab") as log:
            if FORKS is not None and "PYTHONPATH" not in self._environment:  # it counts as Python starts
                self.process = FORKS.fork(self.module, self._environment, log.fileno())
                return
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.module],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    async def start(self) -> Service:
        self.launch()
        await self.ready()
        return self

    async def ready(self, wanted: int = 200, seconds: float = 60) -> dict[str, object]:
        """Wait until ``/readyz`` answers ``wanted``; its body."""
        async with httpx.AsyncClient() as client, asyncio.timeout(seconds):
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.health_port}/readyz")
                    if answer.status_code == wanted:
                        body: dict[str, object] = answer.json()
                        return body
                except httpx.TransportError:
                    pass
                assert self.process is not None
                assert self.process.poll() is None, f"{self.name} ended:\n{self.output[-3000:]}"
                await asyncio.sleep(0.02)

    async def wrote(self, words: str, seconds: float = 10) -> None:
        """Until these words stand in its log: a line may come a moment after what it tells of."""
        async with asyncio.timeout(seconds):
            while words not in self.output:
                await asyncio.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and reap."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 20)
