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


class Windows:
    """The entries of a key behind the sequence ``after``. ``sequence`` is that of the last message read.

    Any replica may answer, possibly one that is behind: on a replicated stream, complete means having
    reached what the leader named as the last when the reading began.
    """

    def __init__(self, stream: Stream, subject: str, after: int) -> None:
        """``subject`` is the filter over all authors of the key."""
        self._stream = stream
        self._subject = subject
        self._goal = -1
        self.sequence = after
        #: Whether everything was read that was stored before the last window was asked for.
        self.over = False

    async def next(self) -> list[StoredMessage]:
        """The next window; an empty one only at the end. Raises `Unreachable`."""
        if self._goal < 0:
            self._goal = await self._stream.last(self._subject) if self._stream.replicated else 0
        for _ in range(20):
            window, more = await self._stream.batch(self.sequence + 1, self._subject, WINDOW, WINDOW_BYTES)
            if window:
                self.sequence = window[-1].sequence
            self.over = not more and self.sequence >= self._goal
            if window or self.over:
                return window
            await asyncio.sleep(0.05)
        raise Unreachable(f"the replicas do not reach sequence {self._goal}")

    async def __aiter__(self) -> AsyncIterator[list[StoredMessage]]:
        while not self.over:
            if window := await self.next():
                yield window
