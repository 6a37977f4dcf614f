"""Long work in turns: what takes the event loop long is done piece by piece, one piece at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

#: How long one piece may take (seconds): everybody else's messages wait so long.
PIECE_SECONDS = 0.0005
#: Behind so much work everybody rests (seconds): timers of the event loop are no finer than a millisecond.
WORK_SECONDS = 0.001
#: It rests so many times as long as it worked, while others have something to do: four fifths of the
#: processor are theirs, and those of the log's server and the other services where these are on the same
#: one. Measured beside 20 sockets that are told 20,000 entries each: with 1 the others' p99 is 2.4 times
#: as long, with 4 1.2 to 1.5 times.
RESTS = 4
#: While nobody else does.
IDLE_RESTS = 1


class Pace:
    """One for all the long work of a process. Who waits longest has the next turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._worked = 0.0
        self._others = False

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

    def others(self) -> None:
        """Somebody else has something to do: an entry of the log came by."""
        self._others = True

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Work between two pieces, such as writing what one of them made: it is rested for, too."""
        begun = perf_counter()
        try:
            yield
        finally:
            self._worked += perf_counter() - begun

    async def _rest(self) -> None:
        """Before each piece, never behind it: whoever is cancelled here has done nothing."""
        if self._worked >= WORK_SECONDS:
            seconds = self._worked * (RESTS if self._others else IDLE_RESTS)
            self._worked, self._others = 0.0, False
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
