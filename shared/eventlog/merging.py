"""The entries of several streams as one sequence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from shared.eventlog.messages import StoredMessage

#: Reads a stream from a sequence on, in batches.
Read = Callable[[int], AsyncIterator[list[StoredMessage]]]


async def in_order(
    reads: Sequence[Read], starts: Sequence[int], ends: Sequence[int]
) -> AsyncIterator[list[StoredMessage]]:
    """Batches of all entries from ``starts`` to ``ends``, ordered by stored time, then stream.

    Each stream keeps its own order, also where its server's clock was set back.
    """
    sources = [_Source(read, start, end) for read, start, end in zip(reads, starts, ends, strict=True)]
    while True:
        for source in sources:
            await source.fill()
        left = [source for source in sources if source.batch]
        if not left:
            return
        if len(left) == 1:
            yield left[0].take()
            continue
        merged = []
        while all(source.batch for source in left):  # one that is empty may go on with an earlier entry
            merged.append(min(left, key=lambda source: source.next).pop())
        yield merged


class _Source:
    """What of one stream is still to be told. ``batch`` is empty at the end."""

    def __init__(self, read: Read, start: int, end: int) -> None:
        self.batch: list[StoredMessage] = []
        self._at = 0
        self._end = end
        self._more = read(start) if start <= end else None

    @property
    def next(self) -> tuple[int, int]:
        message = self.batch[self._at]
        return message.time, message.stream

    async def fill(self) -> None:
        while not self.batch and self._more is not None:
            batch = await anext(self._more, None)
            if batch is None or batch[-1].sequence >= self._end:
                self._more = None
            self.batch = [message for message in batch or () if message.sequence <= self._end]

    def pop(self) -> StoredMessage:
        message = self.batch[self._at]
        self._at += 1
        if self._at == len(self.batch):
            self.batch, self._at = [], 0
        return message

    def take(self) -> list[StoredMessage]:
        """All that is there."""
        batch, self.batch, self._at = self.batch[self._at :], [], 0
        return batch
