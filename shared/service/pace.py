"""Long work in turns: what takes the event loop long is done piece by piece, one piece at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

#: How long one piece may take (seconds): everybody else's messages wait so long.
PIECE_SECONDS = 0.0005
#: Behind so much work everybody rests as long (seconds): timers of the event loop are no finer. It leaves
#: half of the processor to the others, and to the log's server where that is on the same one.
REST_SECONDS = 0.002


class Pace:
    """One for all the long work of a process. Who waits longest has the next turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._worked = 0.0

    async def through(self, items: Iterable[T], work: Callable[[T], None]) -> AsyncIterator[None]:
        """Do ``work`` for each of ``items``; yields between the pieces, while others may have their turn."""
        left = iter(items)
        more = True
        while more:
            async with self._turn:
                await self._rest()
                begun = perf_counter()
                more = False
                for item in left:
                    work(item)
                    if perf_counter() - begun >= PIECE_SECONDS:
                        more = True
                        break
                self._worked += perf_counter() - begun
            yield

    async def _rest(self) -> None:
        """Before each piece, never behind it: whoever is cancelled here has done nothing."""
        if self._worked >= REST_SECONDS:
            seconds, self._worked = self._worked, 0.0
            await asyncio.sleep(seconds)
        else:
            await asyncio.sleep(0)


class ArrivalTurns:
    """One at a time for each name; nothing is kept of a name that nobody waits for."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Future[None]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Within the block nobody else has the turn of this name."""
        before = self._last.get(name)
        mine = self._last[name] = asyncio.get_running_loop().create_future()
        try:
            if before is not None:
                await asyncio.wait([before])
            yield
        finally:
            if before is not None and not before.done():  # we were cancelled while we waited
                before.add_done_callback(lambda _: mine.set_result(None))
            else:
                mine.set_result(None)
            if self._last.get(name) is mine:
                if before is not None and not before.done():
                    self._last[name] = before
                else:
                    del self._last[name]
