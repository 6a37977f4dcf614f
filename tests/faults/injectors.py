"""Faults between a service and its NATS: a link that can be cut, a feed that loses messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from nats.aio.client import Client

from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.log import MakeStream
from shared.eventlog.messages import StoredMessage
from shared.eventlog.protocol_reader import TakeLive
from shared.eventlog.stream import Stream, Tail
from shared.eventlog.subscription import MakeFeed


def lossy(lose: Callable[[StoredMessage], bool]) -> MakeFeed:
    """A live feed for a subscription that loses the entries for which ``lose`` says so."""

    def losing(take: TakeLive) -> TakeLive:
        return lambda message: None if lose(message) else take(message)

    def make(client: Client, lives: Mapping[str, TakeLive], *told: Callable[[], None]) -> LiveConnection:
        return LiveConnection(client, changed(lives, losing), *told)

    return make


def changed(lives: Mapping[str, TakeLive], change: Callable[[TakeLive], TakeLive]) -> dict[str, TakeLive]:
    """What takes the live feed, each changed."""
    return {subject: change(take) for subject, take in lives.items()}


class Pause:
    """While it lasts, who comes waits; ``felt`` once somebody does."""

    def __init__(self) -> None:
        self.felt = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()

    def begin(self) -> None:
        self._over.clear()
        self.felt.clear()

    def end(self) -> None:
        self._over.set()

    async def passed(self) -> None:
        if not self._over.is_set():
            self.felt.set()
            await self._over.wait()


def hesitant(pause: Pause) -> MakeStream:
    """Streams whose end is not told during the pause: a subscription cannot find out that it is another."""

    class Hesitant(Stream):
        async def tail(self, timeout: float = 2.0) -> Tail:
            await pause.passed()
            return await super().tail(timeout)

    return Hesitant


def late(pause: Pause) -> MakeStream:
    """Streams whose end is told as it was before the pause, once that is over."""

    class Late(Stream):
        async def tail(self, timeout: float = 2.0) -> Tail:
            tail = await super().tail(timeout)
            await pause.passed()
            return tail

    return Late


def late_proof(pause: Pause) -> MakeStream:
    """Streams that tell what is at a position as it was before the pause, once that is over."""

    class LateProof(Stream):
        async def at(self, sequence: int) -> StoredMessage | None:
            found = await super().at(sequence)
            await pause.passed()
            return found

    return LateProof


def late_question(pause: Pause) -> MakeStream:
    """Streams that are asked for an entry only when the pause is over and the client is connected."""

    class LateQuestion(Stream):
        async def at(self, sequence: int) -> StoredMessage | None:
            await pause.passed()
            while not self.client.is_connected:
                await asyncio.sleep(0.02)
            return await super().at(sequence)

    return LateQuestion


def halting(ends: Pause, reads: Pause) -> MakeStream:
    """As `hesitant` during ``ends``; during ``reads`` no read ends, though it gave all that there is."""

    class Halting(Stream):
        async def tail(self, timeout: float = 2.0) -> Tail:
            await ends.passed()
            return await super().tail(timeout)

        async def read(self, start: int, subject: str = ">") -> AsyncIterator[list[StoredMessage]]:
            async for batch in super().read(start, subject):
                yield batch
                await reads.passed()

    return Halting


class FaultyLink:
    """A TCP link to a server on loopback that can be cut, stalled with both ends still open, or slow.

    ``latency`` (seconds) is added to each piece in each direction, ``rate`` (bytes/s) limits them; 0
    for none.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.latency = 0.0
        self.rate = 0.0

    async def __aenter__(self) -> FaultyLink:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def mend(self) -> None:
        """Take connections again."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def stall(self) -> None:
        """Half-open: nothing passes, nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let pass what was held up, and what follows."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                delay = self.latency + (len(data) / self.rate if self.rate else 0.0)
                if delay:
                    await asyncio.sleep(delay)
                sink.write(data)
                await sink.drain()
        self._writers.discard(sink)
        sink.transport.abort()
