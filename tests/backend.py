"""A backend for tests: a real HTTP server on loopback that answers what the test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Respond = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def response(
    content: bytes | str | dict[str, Any] | list[Any],
    status: int = 200,
    kind: str = "application/json",
    **headers: str,
) -> bytes:
    """A whole HTTP response."""
    body = content.encode() if isinstance(content, str) else content
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Status",
        f"content-type: {kind}",
        f"content-length: {len(payload)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + payload


def says(content: bytes | str | dict[str, Any] | list[Any], **how: Any) -> Respond:
    """Answers with this."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(content, **how))

    return respond


class Backend:
    """Plays one answer for each request in turn, then its last one again."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        self._answers: list[Respond] = [says({"ok": True})]
        self._tasks: set[asyncio.Task[None]] = set()

    def will(self, *answers: Respond) -> None:
        self._answers = list(answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                first, *lines = head.strip().split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = first.split(" ")
                request = Request(method, path, headers, body)
                self.requests.append(request)
                self.asked.set()
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                await answer(request, writer)
                await writer.drain()
        writer.close()
