"""Notes: the sub-fold of the desk, what operators noted about a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from shared.contract import desk_facts as facts
from shared.contract.conversation.rule import Rules
from shared.contract.desk_facts import Priority
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationReset,
    ConversationResolved,
    ConversationTransferred,
    Fact,
    HandoffRequested,
    TextWritten,
)
from shared.contract.persistent_set import PersistentSet
from shared.timestamps import parse_time


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note for colleagues. ``id`` is that of its entry, ``time`` in nanoseconds since 1970, UTC."""

    id: str
    position: int
    time: int
    operator: str
    text: str
    mentions: tuple[str, ...] = ()


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who should take the conversation, and who says so."""

    operator: str
    to: str = ""
    queue: str = ""
    note: str = ""


class DeskNotes(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="contract",
    tag="desk/1",
):
    """What holds about a conversation. ``position`` is that of the last entry folded that noted something.

    ``needs`` is the highest contract level of these: above this program's, there may be more than it knows.
    """

    position: int = 0
    needs: int = 1
    ids: PersistentSet = PersistentSet()  # of every entry that noted something
    notes: tuple[Note, ...] = ()  # the oldest first
    labels: tuple[str, ...] = ()  # in the order in which they were added
    priority: Priority = "normal"
    snoozed_until: int = 0  # nanoseconds since 1970, UTC; 0: it is not
    read: Mapping[str, int] = {}  # up to which position each account has seen it
    assigned: Assignment | None = None
    spam: bool = False


def _note_written(state: DeskNotes, recorded: RecordedEntry, fact: facts.NoteWritten) -> DeskNotes:
    note = Note(recorded.id, recorded.position, recorded.time, fact.operator, fact.text, fact.mentions)
    return replace(state, notes=(*state.notes, note))


def _note_removed(state: DeskNotes, recorded: RecordedEntry, fact: facts.NoteRemoved) -> DeskNotes:
    return replace(state, notes=tuple(note for note in state.notes if note.id != fact.note))


def _label_added(state: DeskNotes, recorded: RecordedEntry, fact: facts.LabelAdded) -> DeskNotes:
    return state if fact.label in state.labels else replace(state, labels=(*state.labels, fact.label))


def _label_removed(state: DeskNotes, recorded: RecordedEntry, fact: facts.LabelRemoved) -> DeskNotes:
    return replace(state, labels=tuple(label for label in state.labels if label != fact.label))


def _priority_set(state: DeskNotes, recorded: RecordedEntry, fact: facts.PrioritySet) -> DeskNotes:
    return replace(state, priority=fact.priority)


def _snoozed(state: DeskNotes, recorded: RecordedEntry, fact: facts.ConversationSnoozed) -> DeskNotes:
    try:
        return replace(state, snoozed_until=parse_time(fact.until))
    except ValueError:  # history is never refused
        return state


def _awake(state: DeskNotes, recorded: RecordedEntry, fact: Fact) -> DeskNotes:
    return replace(state, snoozed_until=0) if state.snoozed_until else state


def _read(state: DeskNotes, recorded: RecordedEntry, fact: facts.ConversationRead) -> DeskNotes:
    if fact.position <= state.read.get(fact.operator, 0):
        return state
    return replace(state, read={**state.read, fact.operator: fact.position})


def _assigned(state: DeskNotes, recorded: RecordedEntry, fact: facts.ConversationAssigned) -> DeskNotes:
    meant = Assignment(fact.operator, fact.to, fact.queue, fact.note) if fact.to or fact.queue else None
    return replace(state, assigned=meant)


def _taken(state: DeskNotes, recorded: RecordedEntry, fact: Fact) -> DeskNotes:
    """Whoever was meant to take it, somebody has."""
    return replace(state, assigned=None, snoozed_until=0)


def _transferred(state: DeskNotes, recorded: RecordedEntry, fact: ConversationTransferred) -> DeskNotes:
    """Nobody does anything where a lease lapses: what was snoozed stays so."""
    return state if fact.lapsed else _taken(state, recorded, fact)


def _spam(state: DeskNotes, recorded: RecordedEntry, fact: facts.SpamMarked) -> DeskNotes:
    return replace(state, spam=True)


def _no_spam(state: DeskNotes, recorded: RecordedEntry, fact: facts.SpamUnmarked) -> DeskNotes:
    return replace(state, spam=False)


def _reached(state: DeskNotes, recorded: RecordedEntry, fact: facts.AgreedTimeReached) -> DeskNotes:
    """That it was noted is among the ids: it is not noted again."""
    return state


def _erased(state: DeskNotes, recorded: RecordedEntry, fact: ConversationErased) -> DeskNotes:
    """The ids stay: an entry from before may come again."""
    return DeskNotes(position=state.position, needs=state.needs, ids=state.ids)


#: The first of these are of the conversation itself, and were told apart from what takes no effect there.
RULES: Final[Rules[DeskNotes]] = {
    **dict.fromkeys((TextWritten, ChoiceMade, ConversationReset, HandoffRequested), _awake),
    **dict.fromkeys((ConversationResolved, ConversationEnded), _taken),
    ConversationClaimed: _taken,
    ConversationTransferred: _transferred,
    ConversationErased: _erased,
    facts.NoteWritten: _note_written,
    facts.NoteRemoved: _note_removed,
    facts.LabelAdded: _label_added,
    facts.LabelRemoved: _label_removed,
    facts.PrioritySet: _priority_set,
    facts.ConversationSnoozed: _snoozed,
    facts.SnoozeEnded: _awake,
    facts.ConversationRead: _read,
    facts.ConversationAssigned: _assigned,
    facts.AgreedTimeReached: _reached,
    facts.SpamMarked: _spam,
    facts.SpamUnmarked: _no_spam,
}
