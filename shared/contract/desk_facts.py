"""What operators note about a conversation, without speaking in it or owning it. Appended by the operator.

These facts stand beside the conversation's own (`shared.contract.subjects.DESK`): they change nothing for
the visitor, the bot or whoever owns it, and no answer waits for them. ``operator`` is the account of whoever
acts.
"""

from __future__ import annotations

from typing import Literal

from shared.contract.fact import FactBase, Personal

Priority = Literal["low", "normal", "high", "urgent"]
#: A person's first word, each later one, and the end.
Goal = Literal["first_response", "next_response", "resolution"]


class NoteWritten(FactBase, frozen=True):
    """An operator wrote a note for colleagues. The visitor is never shown it."""

    operator: str
    text: Personal
    mentions: tuple[str, ...] = ()  # the accounts of those who are to read it


class NoteRemoved(FactBase, frozen=True):
    """The note is not shown any more. Its words stay on the log, sealed, until the conversation is erased."""

    operator: str
    note: str  # the id of the entry that wrote it


class LabelAdded(FactBase, frozen=True):
    """The conversation carries a label of the desk's vocabulary."""

    operator: str
    label: str  # readable, since reports count by it: it must not say who the visitor is


class LabelRemoved(FactBase, frozen=True):
    """The conversation does not carry the label any more."""

    operator: str
    label: str


class PrioritySet(FactBase, frozen=True):
    """How urgent the conversation is; "normal" before the first of these."""

    operator: str
    priority: Priority


class ConversationSnoozed(FactBase, frozen=True):
    """Nobody at the desk needs to look at the conversation until a time, or until the visitor writes."""

    operator: str
    until: str  # RFC 3339, UTC


class SnoozeEnded(FactBase, frozen=True):
    """An operator wants to see the conversation again before that time."""

    operator: str


class ConversationRead(FactBase, frozen=True):
    """The operator has seen the conversation up to an entry."""

    operator: str
    position: int


class ConversationAssigned(FactBase, frozen=True):
    """Who should take the conversation: a person or a queue. It says nothing of who owns it."""

    operator: str
    to: str = ""  # an account
    queue: str = ""  # with neither, nobody is meant any more
    note: Personal = ""


class AgreedTimeReached(FactBase, frozen=True):
    """Most of an agreed time has passed, or all of it, while nobody did what was agreed.

    Appended by the service itself: no operator does this.
    """

    goal: Goal
    queue: str
    due: str  # when all of it has passed; RFC 3339, UTC
    over: bool = False  # all of it has


class SpamMarked(FactBase, frozen=True):
    """The conversation is no request of a customer."""

    operator: str


class SpamUnmarked(FactBase, frozen=True):
    """It is one after all."""

    operator: str


DeskFact = (
    NoteWritten
    | NoteRemoved
    | LabelAdded
    | LabelRemoved
    | PrioritySet
    | ConversationSnoozed
    | SnoozeEnded
    | ConversationRead
    | ConversationAssigned
    | SpamMarked
    | SpamUnmarked
    | AgreedTimeReached
)
