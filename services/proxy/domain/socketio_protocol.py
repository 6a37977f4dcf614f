"""What the two kinds of Socket.IO clients have in common: one side of a conversation, without I/O."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from services.proxy.domain.close_codes import CloseCode
from services.proxy.domain.past import Past
from services.proxy.domain.session import Append
from shared.contract import cursor as cursors
from shared.contract.conversation import Conversation
from shared.contract.cursor import Cursor
from shared.contract.entry import RecordedEntry


class Emit(NamedTuple):
    """Send this event."""

    event: str
    data: dict[str, Any]


class Missing(NamedTuple):
    """The event is ignored, and no event says so; who asks for an acknowledgement is told why."""

    reason: str


Output = Emit | Append | CloseCode


class Talk(Protocol):
    """Fed with the log's entries and the client's events; says what to send and to append."""

    @property
    @abstractmethod
    def state(self) -> Conversation: ...

    @abstractmethod
    def open(self, past: Past, shared: bool = True) -> list[Output]:
        """The history is known; `tell` is to follow for its entries, in order, then `told`.

        ``shared``: others go on with the same ``past``, which must not change.
        """

    @property
    @abstractmethod
    def lacks(self) -> int | None:
        """The position of the first entry that `tell` needs; None where it needs none."""

    @abstractmethod
    def tell(self, recorded: RecordedEntry) -> list[Output]:
        """What the client lacks of an entry of the history."""

    @abstractmethod
    def told(self, new_id: str) -> list[Output]:
        """The history is told: an entry to append (as ``new_id``) where something is to begin."""

    def greet(self, history: list[RecordedEntry], new_id: str) -> list[Output]:
        """All of that, for a history that is here as a whole."""
        past = Past()
        for recorded in history:
            past.add(recorded)
        output = self.open(past, shared=False)
        if self.lacks is not None:
            for recorded in history:
                output += self.tell(recorded)
        return output + self.told(new_id)

    @abstractmethod
    def follow(self, recorded: RecordedEntry) -> list[Output]:
        """One more entry of the conversation, as it is stored."""

    @abstractmethod
    def receive(self, event: str, payload: Any, new_id: Callable[[], str]) -> Append | Emit | Missing:
        """What the client's event means: an entry to append, or an ``error`` that says what is wrong."""


def held(cursor: str, epoch: str, past: Past) -> Cursor | None:
    """The client's place in the conversation; None where it has none, or one that does not hold."""
    place = cursors.decode(cursor) if cursor else None
    return place if place is not None and place.epoch == epoch and past.holds(place) else None


def error(message: str) -> Emit:
    """The event that says what was wrong; never anything internal."""
    return Emit("error", {"message": message})
