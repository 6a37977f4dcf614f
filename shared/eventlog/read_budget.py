"""So much of something may be in use at once: whoever wants more waits for its turn."""

from __future__ import annotations

import asyncio
from collections import deque


class ReadBudget:
    """First come, first served: a large demand is not passed over for ever by small ones."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def left(self) -> int:
        return self._left

    async def take(self, amount: int) -> None:
        """Wait for ``amount``; `give` must follow. More than there is in all counts as all of it."""
        amount = min(amount, self._size)
        if not self._waiting and self._left >= amount:
            self._left -= amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given a moment before
                self.give(amount)
            else:
                turn.cancel()
                self._serve()  # who stands behind may have waited for this one alone
            raise

    def give(self, amount: int) -> None:
        """Give back what was taken."""
        self._left += min(amount, self._size)
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if not turn.done():
                if self._left < amount:
                    return
                self._left -= amount
                turn.set_result(None)
            self._waiting.popleft()
