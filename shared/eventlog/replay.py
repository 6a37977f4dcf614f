"""The bulk of a stream, pushed by a durable consumer that the provisioning made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from shared.eventlog.layout import key_and_author
from shared.eventlog.messages import StoredMessage, delivered
from shared.eventlog.request_multiplexer import RequestMultiplexer

#: Messages that are acknowledged at once.
GROUP: Final = 1000


class Replay:
    """One reader of a replay consumer. Acknowledging a message acknowledges all before it.

    Where nothing is acknowledged no more is pushed: so it goes on at the pace at which there is ``room``.
    """

    def __init__(
        self,
        requests: RequestMultiplexer,
        stream: int,
        take: Callable[[StoredMessage], bool],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._requests = requests
        self._stream = stream
        self._take = take
        self._room = room
        self._acknowledging: set[asyncio.Task[None]] = set()
        self._count = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, subject: str, answer: str, data: bytes) -> None:
        if self._over.done():
            return
        key, author = key_and_author(subject)
        sequence, time, _ = delivered(answer)
        if not self._take(StoredMessage(sequence, key, author, time, data, stream=self._stream)):
            self._over.set_result(None)
            return
        self._count += 1
        if self._count % GROUP == 0:
            task = asyncio.create_task(self._acknowledge(answer))
            self._acknowledging.add(task)
            task.add_done_callback(self._acknowledging.discard)

    async def _acknowledge(self, answer: str) -> None:
        await self._room()
        self._requests.publish(answer, b"+ACK")

    async def finished(self) -> None:
        """Until `take` has had enough, or nothing has come for a second."""
        seen = -1
        try:
            while not self._over.done() and (self._count != seen or self._acknowledging):
                seen = self._count
                await asyncio.wait([self._over], timeout=1.0)
        finally:
            for task in self._acknowledging:
                task.cancel()
