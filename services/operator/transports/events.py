"""Live events: one feed of changes for every open console, as server-sent events.

A listener that does not keep up is dropped rather than buffered for; its browser connects anew and
reads the lists again, as after any break.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

#: Events that wait for one listener at most.
MOST_WAITING = 1_000
#: After so long without an event a heartbeat goes out (seconds). It is an event and no comment, which
#: scripts do not see: a console that hears nothing knows that its link is dead.
PING_SECONDS = 10.0

_encoder = msgspec.json.Encoder()


class Hub:
    """Hands events to every listener."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._change = asyncio.Event()

    async def changed(self) -> None:
        """Wait until somebody comes or goes."""
        await self._change.wait()
        self._change.clear()

    def __len__(self) -> int:
        return len(self._listeners)

    def tell(self, event: str, data: msgspec.Struct) -> None:
        """Send an event to all who listen. Never waits."""
        if not self._listeners:
            return
        frame = b"event: " + event.encode() + b"\ndata: " + _encoder.encode(data) + b"\n\n"
        for queue in list(self._listeners):
            try:
                queue.put_nowait(frame)
            except asyncio.QueueFull:
                self._end(queue)

    def close(self) -> None:
        """End every stream: the service stops, or the log was replaced."""
        for queue in list(self._listeners):
            self._end(queue)

    async def listen(self, still_welcome: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """The frames for one listener, until it goes, is dropped, or is no longer welcome."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        self._listeners.add(queue)
        self._change.set()
        try:
            yield b"retry: 1000\n: listening\n\n"
            while True:
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        frame = await queue.get()
                except TimeoutError:
                    if not await still_welcome():
                        return
                    frame = b"event: heartbeat\ndata: {}\n\n"
                if frame is None:
                    return
                yield frame
        finally:
            self._listeners.discard(queue)
            self._change.set()

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._listeners.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
