"""What is in hand: wake-ups that are not acknowledged yet, a mailbox for each conversation.

A wake-up is a message of a durable consumer: a delivery (an input came) or a firing (a timer is due).
It is also a lease: while it is renewed, nobody else is woken for the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from time import perf_counter

from nats.aio.msg import Msg

from services.workflow.domain.decide import Generated, GenerationFailed
from services.workflow.drafts import DraftPublisher
from shared.contract import subjects
from shared.contract.conversation import Conversation, Input
from shared.contract.facts import ServiceAnswered, TimerFired
from shared.eventlog.messages import delivered

#: A renewal is a message, some 10 microseconds: so many are few beside a turn.
RENEWED_AT_ONCE = 50


class WakeUp:
    """A message that is not acknowledged yet. ``time`` is when it was stored (nanoseconds since 1970).

    ``caught_up``: since it came, the fold has reached what it is about. ``scheduled``: since it came, the
    timers were looked after.
    """

    __slots__ = ("caught_up", "count", "message", "scheduled", "sequence", "time")

    def __init__(self, message: Msg) -> None:
        self.message = message
        self.sequence, self.time, self.count = delivered(message.reply)
        self.caught_up = False
        self.scheduled = False

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


async def renew(wake_ups: Iterable[WakeUp]) -> None:
    """Still at all of these. Of thousands a few at a time: everybody else's turns wait meanwhile."""
    for number, wake_up in enumerate(wake_ups, 1):
        await wake_up.renew()
        if number % RENEWED_AT_ONCE == 0:
            await asyncio.sleep(0)


class Delivery(WakeUp):
    """An entry of a visitor or an operator, at ``position``."""

    __slots__ = ()

    @property
    def position(self) -> int:
        return self.sequence


class Firing(WakeUp):
    """The timer ``timer`` is due; ``at`` is what it was armed for.

    It is about the conversation's end.
    """

    __slots__ = ("at", "conversation", "timer")

    def __init__(self, message: Msg) -> None:
        super().__init__(message)
        self.conversation, self.timer = subjects.due_timer(message.subject)
        self.at = message.data.decode("utf-8", "replace")

    def armed(self, state: Conversation) -> bool:
        """Whether it still means something: the timer is armed, and for this very time."""
        return any(timer.id == self.timer and timer.at == self.at for timer in state.timers.armed)

    def owed(self, state: Conversation) -> bool:
        """Whether it took effect, and what follows from it is still to be decided."""
        return any(isinstance(i.fact, TimerFired) and i.fact.id == self.timer for i in state.inbox.unanswered)


@dataclass(slots=True)
class TurnProgress:
    """What was found out for one input so far, kept over conflicts: nobody shall be asked twice."""

    cause: int
    started: float = field(default_factory=perf_counter)
    performed: int = 0  # how many needs
    waited: float = 0.0  # seconds for whoever holds the lease
    heard: ServiceAnswered | None = None  # a backend's answer that is not on the log yet
    results: dict[str, Generated | GenerationFailed] = field(default_factory=dict)
    attempt: int = 0  # the assistant's newest attempt that this replica began
    drafts: list[DraftPublisher] = field(default_factory=list)


class Mailbox:
    """One conversation's wake-ups. ``behind``: the fold may lack what the log has already."""

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.deliveries: dict[int, Delivery] = {}
        self.firings: dict[int, Firing] = {}
        self.fresh: list[WakeUp] = []  # those that the fold may not have reached
        # Who says thousands of things has thousands in hand: a turn looks at those that came since the
        # last, and at the oldest of the others.
        self._unseen: list[int] = []
        self._owed: list[int] = []  # a heap
        self.woken = asyncio.Event()
        self.behind = False
        self.turn: TurnProgress | None = None
        self.worker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.firings)

    def __iter__(self) -> Iterator[WakeUp]:
        return iter([*self.deliveries.values(), *self.firings.values()])

    def add(self, wake_up: Delivery | Firing) -> None:
        """One more; the same again takes the place of the one before."""
        if isinstance(wake_up, Delivery):
            self.deliveries[wake_up.position] = wake_up
            self._unseen.append(wake_up.position)
        else:
            self.firings[wake_up.sequence] = wake_up
        self.fresh.append(wake_up)
        self.woken.set()

    def caught_up(self, wake_ups: list[WakeUp]) -> None:
        """The fold has reached what these are about."""
        for wake_up in wake_ups:
            wake_up.caught_up = True
        self.fresh = [wake_up for wake_up in self.fresh if not wake_up.caught_up]

    def clear(self) -> None:
        self.deliveries.clear()
        self.firings.clear()
        self.fresh.clear()
        self._unseen.clear()
        self._owed.clear()
        self.turn = None
        self.woken.set()

    def lease(self, item: Input) -> WakeUp | None:
        """The wake-up of this input, if it is here: only its holder asks backends or the assistant."""
        if isinstance(item.fact, TimerFired):
            return next((each for each in self.firings.values() if each.timer == item.fact.id), None)
        return self.deliveries.get(item.position)

    def drop(self, item: Input) -> None:
        """Another replica holds the lease on this input now."""
        self.deliveries.pop(item.position, None)
        if isinstance(item.fact, TimerFired):
            self.firings = {s: each for s, each in self.firings.items() if each.timer != item.fact.id}

    def waits_for(self, state: Conversation) -> bool:
        """Whether anything in hand waits for an outcome."""
        if not state.inbox.unanswered:
            return False
        return any(map(state.inbox.owes, self.deliveries)) or any(
            firing.owed(state) for firing in self.firings.values()
        )

    def turn_of(self, item: Input) -> TurnProgress:
        """What is known about this input so far."""
        if self.turn is None or self.turn.cause != item.position:
            self.turn = TurnProgress(item.position)
        return self.turn

    def finished(self, state: Conversation) -> list[WakeUp]:
        """Take out what nobody needs to be woken for any more.

        Only what the fold has reached: more may have come since, and after a store was put back from a
        copy even at a position that is far behind.
        """
        done: list[WakeUp] = []
        unseen, self._unseen = self._unseen, []
        for position in unseen:
            delivery = self.deliveries.get(position)
            if delivery is None:
                continue
            if not delivery.caught_up or position > state.position:
                self._unseen.append(position)
            elif state.inbox.owes(position):
                heappush(self._owed, position)
            else:
                done.append(self.deliveries.pop(position))
        # Outcomes are given to the oldest, or to all.
        while self._owed and not state.inbox.owes(self._owed[0]):
            delivery = self.deliveries.get(heappop(self._owed))
            if delivery is not None and delivery.caught_up:  # else it was delivered again
                done.append(self.deliveries.pop(delivery.position))
        for sequence, firing in list(self.firings.items()):
            if firing.caught_up and not firing.armed(state) and not firing.owed(state):
                done.append(self.firings.pop(sequence))
        return done
