"""What is in hand of one conversation: its inputs, and its timers that are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

from nats.aio.msg import Msg

from services.workflow.drafts import DraftPublisher
from shared.contract import subjects
from shared.contract.conversation import Conversation, Input
from shared.contract.facts import ServiceAnswered, TimerFired
from shared.eventlog.mailbox import Mailbox, WakeUp
from shared.flow.decide import Generated, GenerationFailed


class Firing(WakeUp):
    """The timer ``timer`` is due; ``at`` is what it was armed for."""

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


def done(wake_up: WakeUp, state: Conversation) -> bool:
    """Whether nobody needs to be woken for this any more: its input has an outcome, its timer no effect."""
    if isinstance(wake_up, Firing):
        return not wake_up.armed(state) and not wake_up.owed(state)
    return not state.inbox.owes(wake_up.sequence)


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


class TurnMailbox(Mailbox):
    """One conversation's wake-ups, and how far the turn for the oldest input is.

    ``redelivered``: something came again, and the timers were not looked after since.
    """

    def __init__(self, conversation: str) -> None:
        super().__init__(conversation)
        self.redelivered = False
        self.turn: TurnProgress | None = None

    def add(self, wake_up: WakeUp) -> None:
        super().add(wake_up)
        self.redelivered = self.redelivered or wake_up.count > 1

    def clear(self) -> None:
        super().clear()
        self.redelivered = False
        self.turn = None

    @property
    def firings(self) -> Iterator[Firing]:
        return (each for each in self.others.values() if isinstance(each, Firing))

    def lease(self, item: Input) -> WakeUp | None:
        """The wake-up of this input, if it is here: only its holder asks backends or the assistant."""
        if isinstance(item.fact, TimerFired):
            return next((each for each in self.firings if each.timer == item.fact.id), None)
        return self.deliveries.get(item.position)

    def drop(self, item: Input) -> None:
        """Another replica holds the lease on this input now."""
        self.deliveries.pop(item.position, None)
        if isinstance(item.fact, TimerFired):
            for firing in [each for each in self.firings if each.timer == item.fact.id]:
                del self.others[firing.sequence]

    def waits_for(self, state: Conversation) -> bool:
        """Whether anything in hand waits for an outcome."""
        if not state.inbox.unanswered:
            return False
        return any(map(state.inbox.owes, self.deliveries)) or any(
            firing.owed(state) for firing in self.firings
        )

    def turn_of(self, item: Input) -> TurnProgress:
        """What is known about this input so far."""
        if self.turn is None or self.turn.cause != item.position:
            self.turn = TurnProgress(item.position)
        return self.turn
