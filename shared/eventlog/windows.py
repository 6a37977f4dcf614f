"""All entries of one key, read window by window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.eventlog.stream import Stream

#: Messages of one window, and about how many bytes: a key may have as many as its authors like, and others
#: read at the same time.
WINDOW: Final = 250
WINDOW_BYTES: Final = 128 * 1024


#: From a place that is so few entries before the stream's end, reading to there costs less than a question.
NEAR: Final = 2_000


class Windows:
    """The entries of a key behind the sequence ``after``. ``sequence`` is that of the last message read.

    Any replica may answer, possibly one that is behind: on a replicated stream, complete means having
    reached what the leader named as the last when the reading began.

    The server is never asked for more entries than the key has: looking for one more it would go through all
    that was stored since, by others, for up to some 70 ms in a stream of 800,000. So first one is asked for,
    whose answer says how many follow, and then these; and where perhaps none follows, the leader is asked.
    """

    def __init__(self, stream: Stream, subject: str, after: int) -> None:
        """``subject`` is the filter over all authors of the key."""
        self._stream = stream
        self._subject = subject
        self._goal = -1
        self._left = 0  # how many are known to follow
        self.sequence = after
        #: Whether everything was read that was stored before the last window was asked for.
        self.over = False

    async def next(self) -> list[StoredMessage]:
        """The next window; an empty one only at the end. Raises `Unreachable`."""
        if self._goal < 0:
            self._left = WINDOW if self._near else 0
            # Without a place, a key that has no entries at all costs the server nothing.
            asked = self._stream.replicated or (self.sequence > 0 and not self._left)
            self._goal = await self._stream.last(self._subject) if asked else 0
            if asked and self._goal <= self.sequence:
                self.over = True
                return []
        for _ in range(20):
            window = await self._read()
            self.over = not self._left and self.sequence >= self._goal
            if window or self.over:
                return window
            await asyncio.sleep(0.05)
        raise Unreachable(f"the replicas do not reach sequence {self._goal}")

    async def _read(self) -> list[StoredMessage]:
        if self._left:
            window, self._left = await self._batch(min(self._left, WINDOW), WINDOW_BYTES)
            return window
        window, left = await self._batch(1, WINDOW_BYTES)
        room = WINDOW_BYTES - sum(len(message.data) for message in window)
        if left and room > 0:
            more, left = await self._batch(min(left, WINDOW - len(window)), room)
            window += more
        self._left = left
        return window

    async def _batch(self, most: int, most_bytes: int) -> tuple[list[StoredMessage], int]:
        batch, left = await self._stream.batch(self.sequence + 1, self._subject, most, most_bytes)
        if batch:
            self.sequence = batch[-1].sequence
        return batch, left

    @property
    def _near(self) -> bool:
        """Whether few entries of the stream can be behind the place."""
        witness = self._stream.witness
        return witness is not None and self.sequence > 0 and 0 < witness.sequence < self.sequence + NEAR

    async def __aiter__(self) -> AsyncIterator[list[StoredMessage]]:
        while not self.over:
            if window := await self.next():
                yield window
