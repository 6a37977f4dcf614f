"""docker-compose.yml, brought up by podman-compose, with images built here."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Final

import httpx

from deploy.cli.settings import password_variable
from deploy.images import build, reachable_base, stand_in_server
from deploy.local.embedded import USERS
from tests.journeys.stage import PASSWORD

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = "switchboard-test"
SERVICES: Final = ("proxy", "workflow", "operator", "analytics")
PROXY: Final = "http://127.0.0.1:9998"
CONSOLE: Final = "http://127.0.0.1:9997"
NUMBERS: Final = "http://127.0.0.1:9996"


class Compose:
    """The whole product in containers. Its settings are in a file of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._settings = folder / "env"
        self._passwords = {user: f"p{secrets.token_hex(24)}" for user in USERS}

    def build(self) -> None:
        """The images of this tree."""
        base = reachable_base()
        for service in (*SERVICES, "setup"):
            build(service, base)
        values = {password_variable(user): password for user, password in self._passwords.items()}
        values |= {"SWITCHBOARD_MASTER_KEY": secrets.token_hex(64), "NATS_IMAGE": stand_in_server()}
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    async def up(self) -> None:
        """In two steps: Podman before 4.6 does not wait for health, so podman-compose cannot."""
        await self._compose("up", "-d", "--no-build", "nats", "setup")
        await self._compose("up", "-d", "--no-build", "--no-deps", *SERVICES)
        await self.ready()

    async def down(self, *options: str) -> None:
        await self._compose("down", *options)

    async def ready(self, seconds: float = 120) -> None:
        """Every service says so, by its own health check too."""
        async with httpx.AsyncClient(timeout=5) as http, asyncio.timeout(seconds):
            for url in (PROXY, CONSOLE, NUMBERS):
                while not await _is_ready(http, url):
                    await asyncio.sleep(0.2)
            for name in ("nats", *SERVICES):
                while await self._podman("healthcheck", "run", self.container(name), fails=True):
                    await asyncio.sleep(0.2)

    async def account(self, name: str, display: str) -> None:
        """An operator's account, made by the command in its image."""
        await self._podman(
            *("run", "--rm", "--interactive", "--network", f"{PROJECT}_default"),
            *("--env", "SWITCHBOARD_NATS_URL=nats://nats:4222", "--env", "SWITCHBOARD_NATS_USER=admin"),
            *("--env", f"SWITCHBOARD_NATS_PASSWORD={self._passwords['admin']}"),
            *("localhost/switchboard-setup", "operator", "add", name, "--display", display),
            input=f"{PASSWORD}\n",
        )

    async def kill(self, name: str) -> None:
        """Without a word of warning; it is started again, as a machine's restart policy would."""
        await self._podman("kill", self.container(name))
        await self._podman("start", self.container(name))

    def container(self, name: str) -> str:
        return f"{PROJECT}_{name}_1"

    async def logs(self, name: str) -> str:
        found = await self._run("podman", "logs", self.container(name))
        return found.stdout + found.stderr

    async def _compose(self, *command: str) -> None:
        program = shutil.which("podman-compose", path=f"{ROOT}/.venv/bin:{os.environ['PATH']}")
        assert program is not None, "podman-compose is missing: pip install podman-compose"
        options = ("-p", PROJECT, "--env-file", str(self._settings), "-f", str(ROOT / "docker-compose.yml"))
        done = await self._run(program, *options, *command)
        assert done.returncode == 0, done.stdout + done.stderr

    async def _podman(self, *command: str, input: str = "", fails: bool = False) -> int:
        done = await self._run("podman", *command, input=input)
        assert fails or done.returncode == 0, done.stdout + done.stderr
        return done.returncode

    async def _run(self, *command: str, input: str = "") -> subprocess.CompletedProcess[str]:
        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command, check=False, capture_output=True, text=True, input=input, cwd=ROOT, timeout=300
            )

        return await asyncio.to_thread(run)


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False
