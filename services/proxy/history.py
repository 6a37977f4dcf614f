"""What is on the log of a conversation when a client comes: read in windows, once for all who come together.

A short history is read in one window, and is all there. A long one is gone through twice: first it is
folded, which says what of it is to be shown, then each client is told it window by window, at its own
pace. The fold is shared, and so is what others have just read: the memory that a history takes depends
neither on its length nor on how many are told it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

from services.proxy.domain.past import Past
from shared.contract.entry import RecordedEntry
from shared.service.chat_log import ChatLog, EntryWindows, Window
from shared.service.pace import Pace

#: Windows of a long history that are kept for those who come to the same place a moment later.
MAX_KEPT = 4


class History:
    """All that was on the log. ``whole``: these are the entries; None: it is long, see `windows`.

    What a long one lacks is what was stored while it was read: who is told it reads on behind its end.
    """

    def __init__(self, whole: list[RecordedEntry] | None, reading: Reading | None = None) -> None:
        self.whole = whole
        self._reading = reading

    async def past(self) -> Past:
        """What it comes to. That of a long one is shared: look at it only. Raises `Unreachable`."""
        if self._reading is not None:
            return (await self._reading.folded()).past
        past = Past()
        for recorded in self.whole or ():
            past.add(recorded)
        return past

    async def windows(self, start: int = 0) -> AsyncIterator[list[RecordedEntry]]:
        """The entries in parts, from the one that holds position ``start``. Raises `Unreachable`."""
        if self._reading is None:
            if self.whole:
                yield self.whole
            return
        folded = await self._reading.folded()
        for number in range(folded.number(start), len(folded.bounds)):
            yield await folded.window(number)


class Folded:
    """A long history that was read once. ``bounds``: the positions of each window's first and last entry."""

    def __init__(self, log: ChatLog, conversation: str) -> None:
        self.past = Past()
        self.bounds: list[tuple[int, int]] = []
        self._log = log
        self._conversation = conversation
        self._kept = Kept()

    def add(self, entries: list[RecordedEntry]) -> None:
        """The next window, which `past` has already."""
        there: asyncio.Future[list[RecordedEntry]] = asyncio.get_running_loop().create_future()
        there.set_result(entries)
        self._kept.put(len(self.bounds), there)
        self.bounds.append((entries[0].position, entries[-1].position))

    def number(self, start: int) -> int:
        """Of the window that holds position ``start``, or else of the one behind it."""
        return bisect_left(self.bounds, start, key=lambda bounds: bounds[1])

    async def window(self, number: int) -> list[RecordedEntry]:
        """Read it, unless others are reading it or have just done so."""
        window = self._kept.get(number)
        if window is None:
            window = asyncio.ensure_future(self._read(*self.bounds[number]))
            self._kept.put(number, window)
        return await asyncio.shield(window)

    async def _read(self, first: int, last: int) -> list[RecordedEntry]:
        entries: list[RecordedEntry] = []
        windows = self._log.entries(self._conversation, first - 1)
        while windows.position < last and not windows.over:
            window = await windows.next()
            entries += [recorded for recorded in window if recorded.position <= last]
        return entries


class Kept:
    """The windows that were read last, by their number."""

    def __init__(self) -> None:
        self._windows: OrderedDict[int, asyncio.Future[list[RecordedEntry]]] = OrderedDict()

    def get(self, number: int) -> asyncio.Future[list[RecordedEntry]] | None:
        window = self._windows.get(number)
        if window is None or (window.done() and (window.cancelled() or window.exception() is not None)):
            return None
        self._windows.move_to_end(number)
        return window

    def put(self, number: int, window: asyncio.Future[list[RecordedEntry]]) -> None:
        self._windows[number] = window
        while len(self._windows) > MAX_KEPT:
            self._windows.popitem(last=False)
        window.add_done_callback(_seen)


class Reading:
    """A long history that is being read, and folded, for all who wait for it.

    When the last one who waits gives up, so does the reading. Who was handed it a moment before, and asks
    only now, sets it going again. ``ended`` is called whenever it stops.
    """

    def __init__(
        self,
        log: ChatLog,
        conversation: str,
        pace: Pace,
        first: Window,
        windows: EntryWindows,
        ended: Callable[[], None],
    ) -> None:
        """``first`` is the first of ``windows``."""
        self._log = log
        self._conversation = conversation
        self._pace = pace
        self._ended = ended
        self._waiting = 0
        self._begin(first, windows)

    def _begin(self, first: Window | None, windows: EntryWindows) -> None:
        self._given_up = False
        self._task = asyncio.create_task(self._read(first, windows))
        self._task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Folded]) -> None:
        _seen(task)
        self._ended()

    @property
    def over(self) -> bool:
        """Whether it is too late to wait for it."""
        return self._given_up or self._task.done()

    async def folded(self) -> Folded:
        """Raises `Unreachable`."""
        if self._given_up:
            self._begin(None, self._log.entries(self._conversation))
        if self._task.done():
            return self._task.result()
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._waiting == 1:  # nobody else wants it
                self._given_up = True
                self._task.cancel()
            raise
        finally:
            self._waiting -= 1

    async def _read(self, window: Window | None, windows: EntryWindows) -> Folded:
        folded = Folded(self._log, self._conversation)
        if window is None:
            window = await windows.next()
        while window:
            entries: list[RecordedEntry] = []

            def add(recorded: RecordedEntry, entries: list[RecordedEntry] = entries) -> None:
                folded.past.add(recorded)
                entries.append(recorded)

            async for _ in self._pace.through(window, add):
                pass
            folded.add(entries)
            window = None if windows.over else await windows.next()
        return folded


def _seen(future: asyncio.Future[Any]) -> None:
    """A failure is told to whoever waits; perhaps nobody does."""
    if not future.cancelled():
        future.exception()
