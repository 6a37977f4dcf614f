"""What the two kinds of Socket.IO clients have in common: one side of a conversation, without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from services.proxy.domain.session import Append
from shared.contract import cursor as cursors
from shared.contract.cursor import Cursor
from shared.contract.entry import Recorded


class Emit(NamedTuple):
    """Send this event."""

    event: str
    data: dict[str, Any]


class Missing(NamedTuple):
    """The event is ignored, and no event says so; who asks for an acknowledgement is told why."""

    reason: str


Output = Emit | Append


class Talk(Protocol):
    """Fed with the log's entries and the client's events; says what to send and to append."""

    def greet(self, history: list[Recorded], new_id: str) -> list[Output]:
        """What the client lacks; an entry to append (as ``new_id``) where something is to begin."""

    def follow(self, recorded: Recorded) -> list[Output]:
        """One more entry of the conversation, as it is stored."""

    def receive(self, event: str, payload: Any, new_id: Callable[[], str]) -> Append | Emit | Missing:
        """What the client's event means: an entry to append, or an ``error`` that says what is wrong."""


def held(cursor: str, epoch: str, history: list[Recorded]) -> Cursor | None:
    """The client's place in the conversation; None where it has none, or one that does not hold."""
    place = cursors.decode(cursor) if cursor else None
    if place is None or place.epoch != epoch:
        return None
    found = any((entry.position, entry.time) == (place.position, place.time) for entry in history)
    return place if found else None


def error(message: str) -> Emit:
    """The event that says what was wrong; never anything internal."""
    return Emit("error", {"message": message})
