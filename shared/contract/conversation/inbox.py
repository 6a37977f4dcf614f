"""Inbox: which entries were seen, and which inputs still wait for their outcome."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ConversationClaimed,
    ConversationErased,
    ConversationReset,
    ConversationResolved,
    Fact,
    HandoffRequested,
)
from shared.contract.persistent_queue import PersistentQueue
from shared.contract.persistent_set import PersistentSet


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that the bot owes an outcome."""

    position: int
    id: str
    fact: Fact


class Inbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="inbox/1"):
    """What came in. Versions share their queue and set, so an entry costs the same at any length."""

    unanswered: PersistentQueue[Input] = PersistentQueue()  # oldest first
    ids: PersistentSet = PersistentSet()  # "<author>:<id>" of every entry that was no answer

    def owes(self, position: int) -> bool:
        """Whether the input at ``position`` still waits for its outcome."""
        return bool(self.unanswered.at(position))


def received(state: Inbox, recorded: RecordedEntry) -> Inbox | None:
    """The inbox after this entry, its facts apart; None where the entry does not count.

    It does not if it answers an input that has its outcome, or if its id was seen.
    """
    if recorded.author == "bot" and recorded.cause is not None:
        left = state.unanswered.without(recorded.cause)
        if left is state.unanswered:  # answered already, or by a person
            return None
        return Inbox(left, state.ids)
    if not recorded.id:
        return state
    ids = state.ids.plus(f"{recorded.author}:{recorded.id}")
    if ids is state.ids:  # seen
        return None
    return Inbox(state.unanswered, ids)


def owing(state: Inbox, recorded: RecordedEntry, fact: Fact) -> Inbox:
    """The inbox in which ``fact`` waits for its outcome, too."""
    item = Input(recorded.position, recorded.id, fact)
    return Inbox(state.unanswered.plus(item), state.ids)


def _handed_over(state: Inbox, recorded: RecordedEntry, fact: Fact) -> Inbox:
    """What is unanswered when a person is awaited or comes has its outcome: handed over."""
    return Inbox(PersistentQueue(), state.ids)


def _resolved(state: Inbox, recorded: RecordedEntry, fact: ConversationResolved) -> Inbox:
    """Whoever resolves without joining has taken what was unanswered, too."""
    return _handed_over(state, recorded, fact) if fact.unjoined else state


def _forgotten(state: Inbox, recorded: RecordedEntry, fact: Fact) -> Inbox:
    """What came before a reset gets no answer; its ids stay, since it may be delivered again."""
    return Inbox(PersistentQueue(), state.ids)


RULES: Final[Rules[Inbox]] = {
    HandoffRequested: _handed_over,
    ConversationClaimed: _handed_over,
    ConversationResolved: _resolved,
    ConversationReset: _forgotten,
    ConversationErased: _forgotten,
}
