"""A conversation with what was noted about it: what the desk decides on, and shows.

It is folded of all entries, the notes beside the conversation too, in the order of their positions.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from services.operator.domain.absent import marked
from services.operator.domain.notes import RULES, DeskNotes
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import Fact
from shared.contract.subjects import DESK


class NotedConversation(msgspec.Struct, frozen=True):
    """The conversation's state, and that of its notes."""

    conversation: Conversation = NEW
    notes: DeskNotes = DeskNotes()

    @property
    def position(self) -> int:
        """That of the last entry of either."""
        return max(self.conversation.position, self.notes.position)

    @property
    def needs(self) -> int:
        """The highest contract level that any entry asks of deciders."""
        return max(self.conversation.needs, self.notes.needs)


def step_noted(
    state: NotedConversation, recorded: RecordedEntry
) -> tuple[NotedConversation, tuple[Fact, ...]]:
    """The state after one more entry, and those of its facts that took effect in the conversation itself.

    Total and silent, as the conversation's fold is. A note counts once, by its id. What this program does not
    know of one it leaves out.
    """
    if recorded.position <= state.position:
        return state, ()
    if recorded.author == DESK:
        return NotedConversation(state.conversation, _noted(state.notes, recorded)), ()
    conversation, facts = step(state.conversation, recorded)
    return NotedConversation(conversation, _ruled(state.notes, recorded, facts)), facts


def _noted(notes: DeskNotes, recorded: RecordedEntry) -> DeskNotes:
    if recorded.id in notes.ids:
        return replace(notes, position=recorded.position)
    ids = notes.ids.plus(recorded.id) if recorded.id else notes.ids
    needs = max(notes.needs, recorded.needs)
    notes = replace(notes, position=recorded.position, needs=needs, ids=ids)
    return _ruled(notes, recorded, marked(recorded, recorded.facts))


def _ruled(notes: DeskNotes, recorded: RecordedEntry, facts: tuple[Fact, ...]) -> DeskNotes:
    for fact in facts:
        rule = RULES.get(type(fact))
        notes = rule(notes, recorded, fact) if rule is not None else notes
    return notes
