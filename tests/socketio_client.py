"""A Socket.IO client for tests, and the simplest of load balancers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from typing import Any

import socketio
import socketio.exceptions


class SocketIoClient:
    """python-socketio's client, with what came in a queue. It does not connect again by itself."""

    def __init__(
        self, url: str, transports: list[str] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.url = url
        self.session = ""
        self._transports = transports
        self._headers = headers or {}
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.io = socketio.AsyncClient(reconnection=False)
        self.io.on("*", self._heard)
        self.io.on("disconnect", self._left)
        self.io.on("connect_error", self._not_let_in)
        self.left = asyncio.Event()
        self.refused = ""

    async def connect(self, **auth: Any) -> SocketIoClient:
        await self.io.connect(
            self.url, auth=auth or None, transports=self._transports, headers=self._headers, wait_timeout=20
        )
        return self

    async def refusal(self, **auth: Any) -> str:
        """Why it is not let in."""
        try:
            await self.connect(**auth)
        except socketio.exceptions.ConnectionError:
            return self.refused
        raise AssertionError("it was let in")

    async def chat(self, **auth: Any) -> SocketIoClient:
        """Connect to the chat; its first event holds the session's id."""
        await self.connect(**auth)
        self.session = (await self.next("session_id"))["session_id"]
        return self

    async def next(self, name: str, seconds: float = 20) -> dict[str, Any]:
        """The next event, which is one of this name."""
        async with asyncio.timeout(seconds):
            event, data = await self._events.get()
        assert event == name, (event, data)
        return dict(data)

    async def event(self, seconds: float = 20) -> tuple[str, Any]:
        """The next event, whichever it is."""
        async with asyncio.timeout(seconds):
            return await self._events.get()

    async def says(self, count: int = 1) -> list[str]:
        """The bot's next messages."""
        return [(await self.next("bot_message"))["message"] for _ in range(count)]

    async def say(self, message: str, **more: Any) -> dict[str, Any]:
        """Send a message; what the proxy answers once it is stored."""
        return dict(await self.io.call("user_message", {"message": message, **more}, timeout=20))

    async def ask(self, value: Any, **more: Any) -> dict[str, Any]:
        """A request to the agent; what the proxy answers once it is stored."""
        return dict(await self.io.call("request", {"key": "answer", "value": value, **more}, timeout=20))

    @property
    def unheard(self) -> int:
        return self._events.qsize()

    async def close(self) -> None:
        await self.io.disconnect()

    async def _heard(self, event: str, data: Any = None) -> None:
        self._events.put_nowait((event, data))

    async def _not_let_in(self, reason: Any) -> None:
        self.refused = reason["message"] if isinstance(reason, dict) else str(reason)

    async def _left(self, reason: str) -> None:
        self.left.set()


class Balancer:
    """Spreads TCP connections over ports in turn; with ``sticky`` a known session goes where it began."""

    def __init__(self, *ports: int, sticky: bool = False) -> None:
        self._turn = itertools.cycle(ports)
        self._sticky = sticky
        self._homes: dict[bytes, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.used: set[int] = set()

    async def __aenter__(self) -> Balancer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            known = re.search(rb"[?&]sid=([^&\s]+)", head)
            port = self._homes.get(known[1]) if self._sticky and known else None
            port = port or next(self._turn)
            self.used.add(port)
            there, back = await asyncio.open_connection("127.0.0.1", port)
            back.write(head)
            await asyncio.gather(self._copy(reader, back, 0), self._copy(there, writer, port))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, port: int) -> None:
        try:
            while data := await source.read(65_536):
                for begun in re.findall(rb'"sid":"([^"]+)"', data) if port else ():
                    self._homes[begun] = port
                target.write(data)
                await target.drain()
        finally:
            target.close()
