"""The bulk of a stream, pushed by a durable consumer that the provisioning made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from shared.eventlog.layout import key_and_author
from shared.eventlog.messages import StoredMessage, delivered
from shared.eventlog.request_multiplexer import RequestMultiplexer

#: Messages that are acknowledged at once.
GROUP: Final = 1000


class Replay:
    """One reader of a replay consumer. Acknowledging a message acknowledges all before it."""

    def __init__(
        self, requests: RequestMultiplexer, stream: int, take: Callable[[StoredMessage], bool]
    ) -> None:
        self._requests = requests
        self._stream = stream
        self._take = take
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
            self._requests.publish(answer, b"+ACK")

    async def finished(self) -> None:
        """Until `take` has had enough, or nothing has come for a second."""
        seen = -1
        while not self._over.done() and self._count != seen:
            seen = self._count
            await asyncio.wait([self._over], timeout=1.0)
