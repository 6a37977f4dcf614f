"""What is in hand of one key: wake-ups that are not acknowledged yet.

A wake-up is a message of a durable consumer. It is also a lease: while it is renewed, nobody else is woken
for the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Final

from nats.aio.msg import Msg

from shared.eventlog.messages import delivered

#: A renewal is a message, some 10 microseconds: so many are few beside a step of work.
RENEWED_AT_ONCE: Final = 50


class WakeUp:
    """A message that is not acknowledged yet. ``time`` is when it was stored (nanoseconds since 1970), and
    ``count`` how often it was delivered.

    What it is about is the end of its key, as it was when the message came: see `Delivery` for an entry.
    ``caught_up``: since it came, the fold has reached what it is about.
    """

    __slots__ = ("caught_up", "count", "message", "sequence", "time")

    def __init__(self, message: Msg) -> None:
        self.message = message
        self.sequence, self.time, self.count = delivered(message.reply)
        self.caught_up = False

    async def done(self) -> None:
        """Nobody needs to be woken for this any more."""
        await self.message.ack()

    async def renew(self) -> None:
        """Still at it."""
        with contextlib.suppress(Exception):
            await self.message.in_progress()

    async def give_back(self, delay: float | None = None) -> None:
        """Somebody else shall be woken, at once or after ``delay`` seconds."""
        with contextlib.suppress(Exception):
            await self.message.nak(delay=delay)


class Delivery(WakeUp):
    """An entry of the log, at ``position`` in its stream."""

    __slots__ = ()

    @property
    def position(self) -> int:
        return self.sequence


async def renew(wake_ups: Iterable[WakeUp]) -> None:
    """Still at all of these. Of thousands a few at a time: everybody else's work waits meanwhile."""
    for number, wake_up in enumerate(wake_ups, 1):
        await wake_up.renew()
        if number % RENEWED_AT_ONCE == 0:
            await asyncio.sleep(0)


class Mailbox:
    """The wake-ups of one key. ``behind``: the fold may lack what the log has already.

    ``deliveries`` by their positions, ``others`` by their sequences in their own stream. ``woken`` is set
    when something came.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.deliveries: dict[int, Delivery] = {}
        self.others: dict[int, WakeUp] = {}
        self.fresh: list[WakeUp] = []  # those that the fold may not have reached
        # Who says thousands of things has thousands in hand: a step looks at those that came since the
        # last, and at the oldest of the others.
        self._unseen: list[int] = []
        self._open: list[int] = []  # a heap
        self.woken = asyncio.Event()
        self.behind = False
        self.task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.others)

    def __iter__(self) -> Iterator[WakeUp]:
        return iter([*self.deliveries.values(), *self.others.values()])

    def add(self, wake_up: WakeUp) -> None:
        """One more; the same again takes the place of the one before."""
        if isinstance(wake_up, Delivery):
            self.deliveries[wake_up.position] = wake_up
            self._unseen.append(wake_up.position)
        else:
            self.others[wake_up.sequence] = wake_up
        self.fresh.append(wake_up)
        self.woken.set()

    def caught_up(self, wake_ups: list[WakeUp]) -> None:
        """The fold has reached what these are about."""
        for wake_up in wake_ups:
            wake_up.caught_up = True
        self.fresh = [wake_up for wake_up in self.fresh if not wake_up.caught_up]

    def clear(self) -> None:
        self.deliveries.clear()
        self.others.clear()
        self.fresh.clear()
        self._unseen.clear()
        self._open.clear()
        self.woken.set()

    def finished(self, position: int, done: Callable[[WakeUp], bool]) -> list[WakeUp]:
        """Take out what nobody needs to be woken for any more, by the fold of the entries up to ``position``.

        Entries must be done in their order, or all at once: of those that were not, only the oldest is
        looked at again. And only what the fold has reached: more may have come since, and after a store was
        put back from a copy even at a position that is far behind.
        """
        finished: list[WakeUp] = []
        unseen, self._unseen = self._unseen, []
        for at in unseen:
            delivery = self.deliveries.get(at)
            if delivery is None:
                continue
            if not delivery.caught_up or at > position:
                self._unseen.append(at)
            elif done(delivery):
                finished.append(self.deliveries.pop(at))
            else:
                heappush(self._open, at)
        while self._open:
            delivery = self.deliveries.get(self._open[0])
            if delivery is not None and not done(delivery):
                break
            heappop(self._open)
            if delivery is not None and delivery.caught_up:  # else it was delivered again
                finished.append(self.deliveries.pop(delivery.position))
        for sequence, other in list(self.others.items()):
            if other.caught_up and done(other):
                finished.append(self.others.pop(sequence))
        return finished
