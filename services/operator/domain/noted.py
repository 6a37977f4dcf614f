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


def fold_noted(state: NotedConversation, recorded: RecordedEntry) -> NotedConversation:
    """The state after one more entry. Total and silent, as the conversation's fold is.

    A note counts once, by its id. What this program does not know of one it leaves out.
    """
    if recorded.position <= state.position:
        return state
    conversation, effective = step(state.conversation, recorded)
    notes = state.notes
    if recorded.author == DESK:
        notes = replace(notes, position=recorded.position)
        if recorded.id in notes.ids:
            return NotedConversation(conversation, notes)
        ids = notes.ids.plus(recorded.id) if recorded.id else notes.ids
        notes = replace(notes, needs=max(notes.needs, recorded.needs), ids=ids)
        effective = marked(recorded, recorded.facts)
    for fact in effective:
        rule = RULES.get(type(fact))
        notes = rule(notes, recorded, fact) if rule is not None else notes
    return NotedConversation(conversation, notes)
