"""A wire between a browser and a service that can fall silent: nothing passes, and nothing is closed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl


class BrowserWire:
    """``async with Wire(port of the service) as wire``: the way through it is at ``wire.url``.

    With ``tls`` it ends TLS, and tells the service so.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._target = target
        self._tls = tls
        self.port = port
        self._silent = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> BrowserWire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()

    def falls_silent(self) -> None:
        """What is sent from now on is lost, on old connections and on new ones."""
        self._silent = True

    def recovers(self) -> None:
        """New connections work. The old ones have lost something and stay dead, as behind a new router."""
        self._silent = False

    def cuts(self) -> None:
        """Breaks what is connected now."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        dead = [self._silent]  # one that begins in the silence never reaches the service
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.append(back)
        for source, sink, head in ((reader, back, self._tls is not None), (there, writer, False)):
            task = asyncio.create_task(self._pipe(source, sink, dead, head))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pipe(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, dead: list[bool], head: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self._silent:
                    dead[0] = True
                if dead[0]:
                    continue
                if head:
                    first, rest = data.split(b"\r\n", 1)
                    data, head = first + b"\r\nX-Forwarded-Proto: https\r\n" + rest, False
                sink.write(data)
                await sink.drain()
            if not dead[0]:
                sink.close()
